package house

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Who builds on a new machine is told in one line which compiler is missing and where it is, one after the other.
func TestTheBuildNamesTheCompilerThatIsMissing(t *testing.T) {
	t.Parallel()
	bin := t.TempDir() // all of the PATH
	for _, tool := range []string{"bash", "dirname"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ compiler, fix string }{
		{"go", "https://go.dev/dl"}, {"cargo", "https://rustup.rs"}, {"cc", "apt-get install gcc"},
	} {
		cmd := exec.CommandContext(t.Context(), at("scripts/build"))
		cmd.Env = []string{"PATH=" + bin}
		var out, diag bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &diag
		err := cmd.Run()
		exit, failed := errors.AsType[*exec.ExitError](err)
		said := diag.String()
		if !failed || exit.ExitCode() != 1 || out.Len() > 0 || strings.Count(said, "\n") != 1 ||
			!strings.HasPrefix(said, "make: "+c.compiler+" is missing: install ") || !strings.Contains(said, c.fix) {
			t.Errorf("without %s: %v, %q, %q", c.compiler, err, out.String(), said)
		}
		// With the next one it comes further.
		if err := os.WriteFile(filepath.Join(bin, c.compiler), []byte("#!/bin/false\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
