package house

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the folder of the checkout, seen from this package.
const root = "../.."

// files lists what git tracks or would track, with these endings.
func files(t *testing.T, endings ...string) []string {
	t.Helper()
	out := run(t, "git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard")
	var list []string
	for line := range strings.Lines(out) {
		name := strings.TrimSpace(line)
		for _, e := range endings {
			if strings.HasSuffix(name, e) {
				list = append(list, name)
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("no files that end in %v: this test looks in the wrong place", endings)
	}
	return list
}

func at(name string) string { return filepath.Join(root, name) }

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}
