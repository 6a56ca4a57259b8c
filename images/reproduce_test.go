package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Two builds have one digest: one here, and one of the same source in another folder, at another time.
func TestTwoBuildsHaveOneDigest(t *testing.T) {
	t.Parallel()
	here := checkout(t)
	there := otherTree(t, here)
	borrowTarget(t, here, there)
	env := map[string]string{"SOURCE_DATE_EPOCH": "1700000000"}
	only := "api,processor,own-image"
	host := newRegistry(t)
	first := build(t, env, "--root", here.Root, "--push", "--registry", host+"/one", "--only", only, "--revision", "abc")
	second := build(t, env, "--root", there.Root, "--push", "--registry", host+"/two", "--only", only, "--revision", "abc")
	for name, ref := range first {
		_, one, _ := strings.Cut(ref, "@")
		_, two, _ := strings.Cut(second[name], "@")
		if one != two {
			t.Errorf("%s is %s here and %s in another folder", name, one, two)
			compare(t, pull(t, ref), pull(t, second[name]))
		}
	}
}

// borrowTarget gives the other folder the crates that were compiled here, which takes minutes and is the Rust compiler's
// business; what is ours is compiled there anew, since its files are younger.
func borrowTarget(t *testing.T, from, to Tree) {
	t.Helper()
	if _, err := from.run(t.Context(), nil, "scripts/processor"); err != nil {
		t.Fatal(err)
	}
	folders, err := filepath.Glob(filepath.Join(from.Root, "rust-processor/target/*/release"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("scripts/processor has left no target (%v)", err)
	}
	for _, folder := range append(folders, filepath.Join(from.Root, "rust-processor/target/release")) {
		rel, err := filepath.Rel(from.Root, folder)
		if err != nil {
			t.Fatal(err)
		}
		must(t, from.Root, "cp", "-r", "--reflink=auto", "--parents", "--preserve=timestamps", rel, to.Root)
	}
}

// compare says what differs between two images, so that nobody has to look for it.
func compare(t *testing.T, one, two v1.Image) {
	t.Helper()
	_, here := entries(t, one)
	_, there := entries(t, two)
	for file, body := range here {
		if !bytes.Equal(body, there[file]) {
			t.Errorf("%s has %d bytes here and %d there, or others", file, len(body), len(there[file]))
		}
	}
	a, errA := one.RawConfigFile()
	b, errB := two.RawConfigFile()
	if !bytes.Equal(a, b) {
		t.Errorf("configurations differ: %s (%v) and %s (%v)", a, errA, b, errB)
	}
}

func TestAnotherLabelIsAnotherTag(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tag := func(version string) string {
		refs := build(t, nil, "--tar", dir, "--only", "own-image", "--version", version)
		name, _, _ := strings.Cut(refs["own-image"], "@")
		return name
	}
	if one, two := tag("1.0.0"), tag("1.0.1"); one == two || strings.HasSuffix(one, ":latest") {
		t.Errorf("version 1.0.0 is %s and version 1.0.1 is %s", one, two)
	}
}

// The revision is the last commit that changed what the image is made of, not the last of all.
func TestRevisionIsOfTheProgram(t *testing.T) {
	t.Parallel()
	tree := Tree{Root: t.TempDir()}
	git := func(args ...string) string {
		all := append([]string{"-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"}, args...)
		return strings.TrimSpace(must(t, tree.Root, "git", all...))
	}
	write := func(file, text string) {
		at := filepath.Join(tree.Root, file)
		mkdir(t, filepath.Dir(at))
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	commit := func() string {
		git("add", "-A")
		git("commit", "-q", "--allow-empty", "-m", "one more")
		return git("rev-parse", "HEAD")
	}
	revision := func() string {
		hash, _, err := tree.lastChange(t.Context(), []string{"go.mod", "api/api.go"})
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	if got := revision(); got != unknown {
		t.Errorf("without git the revision is %q", got)
	}
	git("init", "-q")
	write("go.mod", "module m\n")
	write("api/api.go", "package api\n")
	write("api/more.go", "package api\n")
	first := commit()
	if got := revision(); got != first {
		t.Errorf("the revision is %q, want the first commit %q", got, first)
	}
	write("docs/a.md", "documentation")
	write("api/api_test.go", "package api\n")
	commit()
	if got := revision(); got != first {
		t.Errorf("documentation and a test moved the revision to %q", got)
	}
	write("api/api.go", "package api // changed\n")
	if got := revision(); got != first+"-dirty" {
		t.Errorf("with a change that is not committed the revision is %q", got)
	}
	second := commit()
	if got := revision(); got != second {
		t.Errorf("the revision is %q, want the commit that changed a file, %q", got, second)
	}
	git("rm", "-q", "api/more.go")
	third := commit()
	if got := revision(); got != third {
		t.Errorf("the revision is %q, want the commit that took a file away, %q", got, third)
	}
}
