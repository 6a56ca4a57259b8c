package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// goEnv keeps the machine's own settings out of a Go build: each of them would change the program's bytes.
func (t Tree) goEnv() []string {
	return []string{
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH, "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=",
		"GOAMD64=v1", "GOARM64=v8.0", "GODEBUG=",
	}
}

// imageTag is the build tag of programs in images: what only a machine of one's own can use is left out.
const imageTag = "image"

// stamp is where a program keeps what is released.
const stamp = "tallyman/internal/service.release"

// compileGo builds one main package, and tells it what is released. Paths, the build's id and the state of the checkout are left out, since the same
// source in another folder is the same program.
func compileGo(pkg string) func(context.Context, Tree, string) error {
	return func(ctx context.Context, t Tree, out string) error {
		_, err := t.run(ctx, t.goEnv(), "go", "build", "-tags", imageTag, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X "+stamp+"="+t.release, "-o", out, pkg)
		return err
	}
}

// compileProcessor asks the script that `make build` uses too, so that the image holds what was tested.
func compileProcessor(ctx context.Context, t Tree, out string) error {
	profile := "release"
	if t.Quick {
		profile = "quick"
	}
	path, err := t.run(ctx, nil, "scripts/processor", profile)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(strings.TrimSpace(path))
	if err != nil {
		return fmt.Errorf("reading what scripts/processor built: %w", err)
	}
	return os.WriteFile(out, b, 0o755)
}

// compileC links statically, since an image from nothing has no libc.
func compileC(source string) func(context.Context, Tree, string) error {
	return func(ctx context.Context, t Tree, out string) error {
		_, err := t.run(ctx, nil, "cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-s", "-static",
			"-ffile-prefix-map="+t.Root+"=.", "-Wl,--build-id=none", "-o", out, source)
		return err
	}
}
