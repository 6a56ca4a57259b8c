package main

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// dockerfiles are those of the project and of its examples, with the folder that each is built in.
func dockerfiles(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{
		"examples/own-image/Dockerfile":        "examples/own-image",
		"examples/own-image/python.Dockerfile": "examples",
	}
	for _, r := range catalog() {
		if !r.Extra {
			all["images/"+r.Name+".Dockerfile"] = "."
		}
	}
	return all
}

// stages parses a Dockerfile with Docker's own parser, which refuses what it does not know.
func stages(t *testing.T, file string) []instructions.Stage {
	t.Helper()
	f, err := os.Open(filepath.Join(checkout(t).Root, file))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	tree, err := parser.Parse(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(tree.Warnings) > 0 {
		t.Errorf("%s: %v", file, tree.Warnings)
	}
	all, meta, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(meta) > 0 {
		t.Errorf("%s has arguments before its first FROM, which skaffold and this test do not follow", file)
	}
	return all
}

// copies gives the files that a stage takes from the checkout: what lies at each source, without the tests, which
// .dockerignore leaves out. Each must lie where it lies in the checkout, or the compiler would not find it.
func copies(t *testing.T, file, context string, s instructions.Stage) []string {
	t.Helper()
	var list []string
	root := filepath.Join(checkout(t).Root, context)
	for _, c := range s.Commands {
		copied, ok := c.(*instructions.CopyCommand)
		if !ok || copied.From != "" {
			continue
		}
		for _, source := range copied.SourcePaths {
			found, err := filepath.Glob(filepath.Join(root, source))
			if err != nil || len(found) == 0 {
				t.Errorf("%s copies %s, which is not in %s (%v)", file, source, context, err)
			}
			for _, f := range found {
				list = append(list, walk(t, root, f)...)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func walk(t *testing.T, root, at string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(at, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, p)
		list = append(list, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var pinned = regexp.MustCompile(`^[a-z]+:[0-9]+(\.[0-9]+)*(-[a-z]+)+$`)

func TestDockerfilesArePinnedAndNotRoot(t *testing.T) {
	t.Parallel()
	for file, context := range dockerfiles(t) {
		all := stages(t, file)
		for _, s := range all {
			if s.BaseName != "scratch" && !pinned.MatchString(s.BaseName) {
				t.Errorf("%s is made from %s, which is no version of an image", file, s.BaseName)
			}
			copies(t, file, context, s)
		}
		last := all[len(all)-1]
		if got := final(t, file, last).User; got != user {
			t.Errorf("%s has the user %q, want %s", file, got, user)
		}
	}
}

// A Dockerfile copies what `go list` says its program links, no less (it would not build) and no more (it would be made
// anew for nothing).
func TestDockerfilesCopyWhatTheyLink(t *testing.T) {
	t.Parallel()
	tree := checkout(t)
	for _, r := range catalog() {
		if r.Extra {
			continue
		}
		file := "images/" + r.Name + ".Dockerfile"
		want, err := r.inputs(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		less, more := differ(copies(t, file, ".", stages(t, file)[0]), want)
		for _, line := range less {
			t.Errorf("%s lacks: COPY %s %s/", file, line, path.Dir(line))
		}
		for _, line := range more {
			t.Errorf("%s copies %s, which %s is not made of", file, line, r.Name)
		}
		for _, fault := range misplaced(stages(t, file)[0]) {
			t.Errorf("%s: %s", file, fault)
		}
	}
}

// misplaced names each COPY of the checkout that does not keep the place of what it copies.
func misplaced(s instructions.Stage) []string {
	var faults []string
	for _, c := range s.Commands {
		copied, ok := c.(*instructions.CopyCommand)
		if !ok || copied.From != "" {
			continue
		}
		for _, source := range copied.SourcePaths {
			want := path.Dir(source) + "/"
			if strings.HasSuffix(source, "/") {
				want = source
			}
			if copied.DestPath != want {
				faults = append(faults, "COPY "+source+" goes to "+copied.DestPath+", want "+want)
			}
		}
	}
	return faults
}

// shape is what an image looks like from outside.
type shape struct {
	User       string
	Entrypoint []string
	WorkDir    string
	Env        []string
	Labels     []string
	Paths      []string
}

// final follows the last stage, as a builder would.
func final(t *testing.T, file string, s instructions.Stage) shape {
	t.Helper()
	var got shape
	paths := make(map[string]bool)
	for _, c := range s.Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			paths[c.DestPath] = true
		case *instructions.WorkdirCommand:
			got.WorkDir = c.Path
			if c.Path != "/" {
				paths[c.Path] = true
			}
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				got.Env = append(got.Env, kv.Key+"="+kv.Value)
			}
		case *instructions.LabelCommand:
			for _, kv := range c.Labels {
				got.Labels = append(got.Labels, strings.Trim(kv.Key, `"`))
			}
		case *instructions.UserCommand:
			got.User = c.User
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Errorf("%s starts its program by a shell, and there is none", file)
			}
			got.Entrypoint = c.CmdLine
		case *instructions.ArgCommand:
		default:
			t.Errorf("%s: %s in the last stage, which the builder knows nothing of", file, c.Name())
		}
	}
	slices.Sort(got.Labels)
	got.Paths = slices.Sorted(maps.Keys(paths))
	return got
}

// Whoever has Docker gets what the builder makes.
func TestDockerfilesMakeTheBuildersLayout(t *testing.T) {
	t.Parallel()
	for _, r := range catalog() {
		file := "images/" + r.Name + ".Dockerfile"
		switch {
		case r.Name == "own-image":
			file = "examples/own-image/Dockerfile"
		case r.Extra:
			continue // NATS has a public image
		}
		all := stages(t, file)
		got := final(t, file, all[len(all)-1])
		config := r.config(Origin{})
		labels := slices.Sorted(maps.Keys(config.Labels))
		if r.Extra {
			labels = nil // an example is nobody's release
		}
		paths := append([]string{r.Program, rootsPath}, r.Dirs...)
		slices.Sort(paths)
		want := shape{config.User, config.Entrypoint, config.WorkingDir, config.Env, labels, paths}
		if !slices.Equal(got.Paths, want.Paths) || !slices.Equal(got.Env, want.Env) || !slices.Equal(got.Labels, want.Labels) ||
			!slices.Equal(got.Entrypoint, want.Entrypoint) || got.User != want.User || got.WorkDir != want.WorkDir {
			t.Errorf("%s makes\n%+v\nand the builder\n%+v", file, got, want)
		}
	}
}

// What docker builds knows what is released, as what the builder makes does: --build-arg VERSION=1.2.3.
func TestDockerfilesStampTheRelease(t *testing.T) {
	t.Parallel()
	programs := 0
	for _, r := range catalog() {
		if r.Extra || !strings.HasPrefix(r.Main, "tallyman/cmd/") {
			continue
		}
		programs++
		told, stamped := false, false
		for _, c := range stages(t, "images/"+r.Name+".Dockerfile")[0].Commands {
			switch c := c.(type) {
			case *instructions.ArgCommand:
				told = told || c.Args[0].Key == "VERSION" && c.Args[0].ValueString() == unreleased
			case *instructions.RunCommand:
				stamped = stamped || told && strings.Contains(strings.Join(c.CmdLine, " "), `-ldflags "-s -w -buildid= -X `+stamp+`=$VERSION"`)
			}
		}
		if !stamped {
			t.Errorf("images/%s.Dockerfile does not tell its program what is released", r.Name)
		}
	}
	if programs != 5 {
		t.Errorf("%d programs in Go, and there are five", programs)
	}
}
