package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// checkout is the real one around this test.
func checkout(t *testing.T) Tree {
	t.Helper()
	root, err := findRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	return Tree{Root: root}
}

// newRegistry serves a registry on the loopback until the test ends, and gives its host:port.
func newRegistry(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// command runs the program as a shell would, with these variables as its whole environment.
func command(t *testing.T, env map[string]string, args ...string) (int, string, string) {
	t.Helper()
	var out, fault bytes.Buffer
	code := run(t.Context(), args, func(key string) string { return env[key] }, &out, &fault)
	return code, out.String(), fault.String()
}

// build runs the program, which must succeed, and gives the references that it printed.
func build(t *testing.T, env map[string]string, args ...string) map[string]string {
	t.Helper()
	code, out, fault := command(t, env, args...)
	if code != 0 {
		t.Fatalf("images %v ended with %d: %s", args, code, fault)
	}
	t.Log(strings.TrimSpace(fault))
	var refs map[string]string
	if err := json.Unmarshal([]byte(out), &refs); err != nil {
		t.Fatalf("images %v printed what is no JSON: %v\n%s", args, err, out)
	}
	return refs
}

// pull fetches an image from its registry, by everything that its reference says.
func pull(t *testing.T, ref string) v1.Image {
	t.Helper()
	digest, err := name.NewDigest(ref)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(digest, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("pulling %s: %v", ref, err)
	}
	return image
}

// entries gives what lies in an image, by its path, with the bodies.
func entries(t *testing.T, image v1.Image) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	r := mutate.Extract(image)
	defer func() { _ = r.Close() }()
	headers, bodies := make(map[string]*tar.Header), make(map[string][]byte)
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return headers, bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		path := "/" + strings.Trim(h.Name, "/")
		headers[path] = h
		if bodies[path], err = io.ReadAll(files); err != nil {
			t.Fatal(err)
		}
	}
}

// unpack writes an image's files below a new folder.
func unpack(t *testing.T, image v1.Image) string {
	t.Helper()
	headers, bodies := entries(t, image)
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, h := range headers {
		at := filepath.Join(root, path)
		if h.Typeflag == tar.TypeDir {
			mkdir(t, at)
			continue
		}
		mkdir(t, filepath.Dir(at))
		if err := os.WriteFile(at, bodies[path], os.FileMode(h.Mode)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// otherTree copies what git would commit into a new folder, without the history.
func otherTree(t *testing.T, from Tree) Tree {
	t.Helper()
	out, err := from.run(t.Context(), nil, "git", "ls-files", "--cached", "--others", "--exclude-standard")
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	for file := range strings.Lines(out) {
		file = strings.TrimSpace(file)
		b, err := os.ReadFile(filepath.Join(from.Root, file))
		if errors.Is(err, os.ErrNotExist) {
			continue // taken away, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(from.Root, file))
		if err != nil {
			t.Fatal(err)
		}
		mkdir(t, filepath.Dir(filepath.Join(to, file)))
		if err := os.WriteFile(filepath.Join(to, file), b, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return Tree{Root: to}
}

// differ compares a list of files with the list wanted, and gives what is missing and what is too much; the Go files of
// one folder as one pattern, since a file for another system comes with those for this one.
func differ(got, want []string) (less, more []string) {
	patterns := func(files []string) []string {
		set := make(map[string]bool)
		for _, f := range files {
			if path.Ext(f) == ".go" {
				f = path.Join(path.Dir(f), "*.go")
			}
			set[f] = true
		}
		return slices.Sorted(maps.Keys(set))
	}
	less = patterns(slices.DeleteFunc(slices.Clone(want), func(f string) bool { return slices.Contains(got, f) }))
	need := patterns(want)
	more = slices.DeleteFunc(patterns(got), func(p string) bool { return slices.Contains(need, p) })
	return less, more
}

// must runs a command in a folder and gives what it printed.
func must(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
