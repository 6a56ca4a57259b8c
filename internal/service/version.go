package service

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// unreleased is what a build is called that nobody has released.
const unreleased = "0.0.0-dev"

// release is what is released. The linker sets it, as images/program.go and the Dockerfiles say, and nothing else
// does: -X tallyman/internal/service.release=1.2.3
var release = unreleased

// revisionShown is how much of a commit's name, or of a program's hash, tells it from every other.
const revisionShown = 12

// Version says which build this is, like 1.2.3+amd64.4f0c22a9b1de: what is released, which is the same for all programs
// of one release; then for which machine, and the hash of the program itself. A program that was built in a checkout
// and not released has its commit: 0.0.0-dev.<commit>+....
func Version() string {
	name := release
	if r := Revision(); name == unreleased && r != "" {
		name += "." + r[:min(len(r), revisionShown)]
	}
	return name + "+" + runtime.GOARCH + "." + ownHash()
}

// SplitVersion divides a Version into what is released, what machine it is for, and which program it is.
func SplitVersion(version string) (release, machine, program string) {
	release, build, _ := strings.Cut(version, "+")
	machine, program, _ = strings.Cut(build, ".")
	return release, machine, program
}

// Revision is the commit that this was built of; empty where the compiler was not told.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, kv := range info.Settings {
		if kv.Key == "vcs.revision" {
			return kv.Value
		}
	}
	return ""
}

// ownHash reads the running program once. Its bytes are its source and its compiler, whoever built it and however, so
// nobody has to remember to stamp it.
var ownHash = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil { // there is no /proc
		path = os.Args[0]
	}
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(h.Sum(nil))[:revisionShown]
})
