package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tree is a checkout of the project.
type Tree struct {
	Root  string
	Quick bool // programs are for a developer's next look, not for a release

	release string // what programs are told that they are
}

// findRoot looks for the project's own go.mod, from a folder upwards.
func findRoot(from string) (string, error) {
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	for dir := from; ; dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(b, []byte("module tallyman\n")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no checkout of tallyman at %s or above it: run this inside of one, or give --root", from)
		}
	}
}

// run runs a command at the root and gives what it printed; env goes before the machine's own environment.
func (t Tree) run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.Root
	cmd.Env = append(os.Environ(), env...)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(fault.Bytes()))
	}
	return out.String(), nil
}
