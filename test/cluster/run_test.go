package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A stand-in for the compiler: it lists tests as real test programs do, and builds nothing but one that does so too.
const standInForTests = `#!/usr/bin/env bash
list() { grep -E "$1" <<<"$2" || true; }
case "$*" in
  "test -c -o "*) mkdir -p "${4%/*}"; { echo '#!/usr/bin/env bash'; declare -f list; echo 'list "$2" TestInside'; } >"$4"; chmod +x "$4" ;;
  "test . ./enclosure ./control -list "*) list "${@:6}" TestBeside; echo "ok tallyman/test/cluster 0.01s" ;;
  "build "*) echo "goes on" >&2; exit 3 ;;
  *) echo "not expected: $*" >&2; exit 4 ;;
esac
`

// A name that no test has is refused before anything is built or begun: a cluster without a test ends as well as one
// whose tests succeed. Names are patterns, never words for the shell.
func TestANameThatNoTestHasIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "test", "cluster", "run"), read(t, "run"))
	write(t, filepath.Join(dir, "bin", "go"), standInForTests)
	for name, known := range map[string]bool{
		"TestInside": true, "TestBeside": true, "Inside|None": true, "TestInside/part of it": true, "(None|TestBeside)$/a|b": true, "": true,
		"TestNone": false, "TestNone/TestInside": false, "inside": false, "ok": false,
		"$(touch ran)": false, "'; touch ran; '": false, `"; touch ran; "`: false, "None* -v": false,
	} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "test", "cluster", "run"), "e2e", name)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		said := string(out)
		switch code := cmd.ProcessState.ExitCode(); {
		case known && (code != 3 || said != "goes on\n"):
			t.Errorf("%q: ended with %d (%v): %s", name, code, err, said)
		case !known && (code != 1 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "no test ") || !strings.Contains(said, name)):
			t.Errorf("%q: ended with %d (%v), not with one line: %s", name, code, err, said)
		}
	}
	if ran, err := filepath.Glob(filepath.Join(dir, "test", "cluster", "ran*")); err != nil || len(ran) > 0 {
		t.Errorf("a name was run by the shell: %v %v", ran, err)
	}
}
