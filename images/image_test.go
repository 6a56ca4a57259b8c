package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const mib = 1 << 20

// released is what the images are said to be a release of, and what each program of ours must know of itself.
const released = "9.8.7-test"

// Every image goes to a registry and is pulled back: what is checked is what a cluster would get.
func TestImagesAsAClusterPullsThem(t *testing.T) {
	t.Parallel()
	host := newRegistry(t)
	out := filepath.Join(t.TempDir(), "images.json")
	refs := build(t, nil, "--push", "--registry", host+"/some/prefix", "--only", "all", "--out", out, "--version", released)
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var same map[string]string
	if err := json.Unmarshal(written, &same); err != nil || !maps.Equal(same, refs) {
		t.Errorf("--out holds %s, and %v was printed", written, refs)
	}
	if len(refs) != len(catalog()) {
		t.Errorf("%d images were built, of %d", len(refs), len(catalog()))
	}
	for _, r := range catalog() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			image := pull(t, refs[r.Name])
			digest, err := image.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%s/some/prefix/%s:%s@%s", host, r.Name, digest.Hex[:12], digest); refs[r.Name] != want {
				t.Errorf("the reference is %s, want %s", refs[r.Name], want)
			}
			checkConfig(t, r, image)
			checkFiles(t, r, image, released)
			checkSize(t, r, image)
			checkRuns(t, r, unpack(t, image))
		})
	}
}

func checkConfig(t *testing.T, r Recipe, image v1.Image) {
	t.Helper()
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.OS != "linux" || c.Architecture != runtime.GOARCH {
		t.Errorf("it is made for %s/%s", c.OS, c.Architecture)
	}
	if c.Config.User != "65532:65532" {
		t.Errorf("its user is %q, not a number that Kubernetes can tell from root", c.Config.User)
	}
	if !slices.Equal(c.Config.Entrypoint, []string{r.Program}) {
		t.Errorf("its entrypoint is %q, want %s", c.Config.Entrypoint, r.Program)
	}
	if !slices.Contains(c.Config.Env, "SSL_CERT_FILE="+rootsPath) {
		t.Errorf("its environment %q does not say where the certificate authorities are", c.Config.Env)
	}
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(m.Annotations, c.Config.Labels) {
		t.Errorf("annotations %v and labels %v differ", m.Annotations, c.Config.Labels)
	}
	for _, key := range []string{"title", "description", "source", "version", "revision", "created", "licenses"} {
		if c.Config.Labels["org.opencontainers.image."+key] == "" {
			t.Errorf("it has no label for its %s: %v", key, c.Config.Labels)
		}
	}
}

// An image holds its program, the authorities, and what its recipe names. So no shell, and nothing that anybody may write.
func checkFiles(t *testing.T, r Recipe, image v1.Image, version string) {
	t.Helper()
	want := map[string]bool{r.Program: true, rootsPath: true}
	for _, dir := range r.Dirs {
		want[dir] = true
	}
	for name := range r.Files {
		want[name] = true
	}
	for name := range maps.Clone(want) {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			want[dir] = true
		}
	}
	headers, bodies := entries(t, image)
	for name, h := range headers {
		if !want[name] {
			t.Errorf("there is a %s in it", name)
		}
		delete(want, name)
		if h.Uid != 0 || h.Gid != 0 || h.Mode&0o7022 != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s belongs to %d:%d, has mode %o and is of %s", name, h.Uid, h.Gid, h.Mode, h.ModTime)
		}
		if isDir := h.Typeflag == tar.TypeDir; !isDir && h.Typeflag != tar.TypeReg || h.Mode&0o444 != 0o444 {
			t.Errorf("%s cannot be read by the image's user (type %c, mode %o)", name, h.Typeflag, h.Mode)
		}
	}
	if len(want) > 0 {
		t.Errorf("%v are not in it", slices.Sorted(maps.Keys(want)))
	}
	program, err := elf.NewFile(bytes.NewReader(bodies[r.Program]))
	if err != nil {
		t.Fatal(err)
	}
	if libs, err := program.ImportedLibraries(); err != nil || len(libs) > 0 {
		t.Errorf("its program needs %v (%v)", libs, err)
	}
	if strings.HasPrefix(r.Main, "tallyman/cmd/") && !bytes.Contains(bodies[r.Program], []byte(version)) {
		t.Errorf("its program does not know that it is %s, so the doctor takes two releases for one", version)
	}
	for _, machine := range []string{os.Getenv("HOME") + "/", checkout(t).Root + "/"} {
		if bytes.Contains(bodies[r.Program], []byte(machine)) {
			t.Errorf("its program names a folder of the machine that built it: %s", machine)
		}
	}
}

// The bar of the processor is the design's; the others' catches what should not have been linked.
func checkSize(t *testing.T, r Recipe, image v1.Image) {
	t.Helper()
	unpacked := 0
	_, bodies := entries(t, image)
	for _, b := range bodies {
		unpacked += len(b)
	}
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	packed := m.Config.Size
	for _, l := range m.Layers {
		packed += l.Size
	}
	t.Logf("%s: %.1f MiB, %.1f MiB to pull", r.Name, float64(unpacked)/mib, float64(packed)/mib)
	bar := 64 * mib
	if r.Name == "processor" {
		bar = 20 * mib
	}
	if unpacked >= bar {
		t.Errorf("%s has %d bytes, and must have less than %d", r.Name, unpacked, bar)
	}
}

// trials run each program where nothing else is: arguments, standard input, and what it must print.
var trials = map[string]struct {
	args  []string
	stdin string
	want  string
}{
	"api":         {[]string{"--help"}, "", "-addr"},
	"scheduler":   {[]string{"--help"}, "", "-nats"},
	"bridge":      {[]string{"--help"}, "", "-nats"},
	"aggregator":  {[]string{"--help"}, "", "-nats"},
	"tallyman":    {[]string{"version"}, "", "tallyman " + released + "+" + runtime.GOARCH + ".<program>"},
	"processor":   {[]string{"work", "process-data"}, `{"records":200,"failureRate":0}`, "processed 200 records"},
	"nats-server": {[]string{"--version"}, "", "nats-server: v2."},
	"own-image":   {nil, `{"a":1}`, fmt.Sprintf("7 bytes, crc32 %08x", crc32.ChecksumIEEE([]byte(`{"a":1}`)))},
}

// checkRuns runs the program out of its image. Root can lock it in there, as its user; anybody else runs it as it is.
func checkRuns(t *testing.T, r Recipe, root string) {
	t.Helper()
	trial, ok := trials[r.Name]
	if !ok {
		t.Fatalf("there is no trial of %s", r.Name)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, r.Program), trial.args...)
	if os.Geteuid() == 0 {
		cmd = exec.CommandContext(t.Context(), r.Program, trial.args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		cmd.Dir = "/"
	}
	cmd.Env = []string{"SSL_CERT_FILE=" + rootsPath}
	cmd.Stdin = strings.NewReader(trial.stdin)
	out, err := cmd.CombinedOutput()
	if want := strings.Replace(trial.want, "<program>", hashOf(t, filepath.Join(root, r.Program)), 1); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%s %v: %v, and it said %q; want %q in it", r.Program, trial.args, err, out, want)
	}
}

// hashOf is how a program names itself, beside its release: two of one release are told apart by it.
func hashOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:12]
}

func TestRootsAreAuthorities(t *testing.T) {
	t.Parallel()
	var names []string
	for rest := roots(); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !c.IsCA {
			t.Errorf("%s is no authority", c.Subject)
		}
		names = append(names, c.Subject.CommonName)
	}
	// SQS's own, so that the one service that every image may call is known.
	if len(names) < 100 || !slices.Contains(names, "Amazon Root CA 1") {
		t.Errorf("%d authorities, and of them not Amazon's: %q", len(names), names)
	}
}

func TestAProgramThatNeedsMoreIsRefused(t *testing.T) {
	t.Parallel()
	if err := runsOnNothing([]byte("#!/bin/sh\n")); err == nil || !strings.Contains(err.Error(), "Linux") {
		t.Errorf("a script: %v", err)
	}
	dynamic, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := runsOnNothing(dynamic); err == nil || !strings.Contains(err.Error(), "dynamic linker") {
		t.Errorf("a program with a libc: %v", err)
	}
}
