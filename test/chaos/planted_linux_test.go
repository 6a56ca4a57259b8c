package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// plantedVariable says which plants are to be found: "all", or the name of one.
const plantedVariable = "TALLYMAN_CHAOS_PLANTED"

// How long a plant is looked for: so many worlds at a time as `make chaos` has, and so often.
const (
	worldsOfASearch = 4
	searches        = 16
	searchPatience  = 10 * time.Minute // of one search; a world's own patience ends it long before
	buildPatience   = 15 * time.Minute
)

// A plant that no longer fits the code would be no plant, and whoever searches at random finds that late.
func TestPlantsFitTheCode(t *testing.T) {
	t.Parallel()
	for _, p := range plants {
		if _, err := parseBlows(p.only); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if _, err := regexp.Compile(p.found); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		for _, s := range append(slices.Clone(p.code), hasty) {
			if _, err := s.in("../.."); err != nil {
				t.Errorf("%s: %v", p.name, err)
			}
		}
	}
}

// in gives the file of a tree as it is with the substitution.
func (s *substitution) in(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, s.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(b), s.old); n != 1 {
		return "", fmt.Errorf("%s has %q %d times, not once: the plant no longer fits the code, and must be written anew", s.file, s.old, n)
	}
	return strings.Replace(string(b), s.old, s.new, 1), nil
}

// Each of the plants is found by what clients are told, in a build of the real programs, and the same faults without
// it are borne. It searches at random and builds for minutes, so it is asked for: `make planted`.
func TestPlantedFaultsAreFoundInTheRealPrograms(t *testing.T) {
	asked := os.Getenv(plantedVariable)
	if asked == "" {
		return
	}
	first := numberOf(t, seedVariable, uint64(time.Now().Unix())*1000)
	sound := newCopy(t, nil)
	known := false
	for _, p := range plants {
		if asked != "all" && asked != p.name {
			continue
		}
		known = true
		t.Run(p.name, func(t *testing.T) {
			if said, failed := sound.search(t, p.only, first); failed {
				t.Fatalf("with nothing planted:\n%s", said)
			}
			p.find(t, first)
		})
	}
	if !known {
		t.Fatalf("%s: there is no plant %q", plantedVariable, asked)
	}
}

// find searches for the plant with ever more seeds.
func (p *plant) find(t *testing.T, first uint64) {
	t.Helper()
	copied, words := newCopy(t, p.code), regexp.MustCompile(p.found)
	began, other := time.Now(), "nothing"
	for n := range uint64(searches) {
		said, failed := copied.search(t, p.only, first+n*worldsOfASearch)
		if found := words.FindString(said); failed && found != "" {
			t.Logf("found within %d seeds and %.0f s, of the last %d by %d: %s", (n+1)*worldsOfASearch, time.Since(began).Seconds(),
				worldsOfASearch, strings.Count(said, "    --- FAIL: "), found)
			return
		}
		t.Logf("%d seeds, %.0f s: failed %t", (n+1)*worldsOfASearch, time.Since(began).Seconds(), failed)
		if failed {
			other = said
		}
	}
	t.Errorf("not found with %d seeds from %d on; what was found besides:\n%s", searches*worldsOfASearch, first, other)
}

// copied is a checkout of its own, with a plant in it, and its programs.
type copied struct{ dir, test string }

// newCopy copies all that is not ignored, changes it, and builds what the change is in.
func newCopy(t *testing.T, code []substitution) *copied {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	c := &copied{dir: t.TempDir()}
	c.test = filepath.Join(c.dir, "bin", "chaos.test")
	files := run(t, root, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimRight(files, "\x00"), "\x00") {
		copyFile(t, filepath.Join(root, name), filepath.Join(c.dir, name))
	}
	for _, name := range []string{"api", "scheduler", "bridge", "aggregator", "processor"} {
		copyFile(t, filepath.Join(root, "bin", name), filepath.Join(c.dir, "bin", name))
	}
	goes, rusts := false, false
	for _, s := range append(slices.Clone(code), hasty) {
		text, err := s.in(c.dir)
		if err == nil {
			err = os.WriteFile(filepath.Join(c.dir, s.file), []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		rust := strings.HasSuffix(s.file, ".rs")
		goes, rusts = goes || !rust && s != hasty, rusts || rust
	}
	if goes {
		run(t, c.dir, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", "bin/", "./cmd/api", "./cmd/scheduler", "./cmd/bridge", "./cmd/aggregator")
	}
	if rusts {
		// All plants share a folder of what they depend on, which takes minutes to build.
		target := filepath.Join(root, "rust-processor", "target", "planted")
		run(t, filepath.Join(c.dir, "rust-processor"), []string{"CARGO_TARGET_DIR=" + target}, "cargo", "build", "--quiet", "--locked")
		copyFile(t, filepath.Join(target, "debug", "processor"), filepath.Join(c.dir, "bin", "processor"))
	}
	run(t, c.dir, nil, "go", "test", "-c", "-trimpath", "-o", c.test, "./test/chaos")
	return c
}

// search lets the faults loose on some worlds of the copy, and gives what their tests said.
func (c *copied) search(t *testing.T, only string, first uint64) (said string, failed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), searchPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.test, "-test.run", "^TestChaos$", "-test.parallel", fmt.Sprint(worldsOfASearch), "-test.timeout", searchPatience.String())
	cmd.Dir = filepath.Join(c.dir, "test", "chaos")
	cmd.Env = append(os.Environ(), fmt.Sprint(seedVariable, "=", first), fmt.Sprint(seedsVariable, "=", worldsOfASearch), onlyVariable+"="+only, plantedVariable+"=")
	b, err := cmd.CombinedOutput()
	return string(b), err != nil
}

// run runs a command and gives what it prints.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var faults strings.Builder
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), &faults
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, faults.String())
	}
	return string(b)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = os.WriteFile(to, b, info.Mode().Perm()|0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
