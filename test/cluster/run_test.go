package cluster_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// Everything that the builds and the tests need is asked for before the first of them, and what is missing is one line. Where
// sudo has changed the PATH, the line says how to keep it.
func TestWhatIsMissingIsNamedAtOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "test", "cluster", "run"), read(t, "run"))
	bare := filepath.Join(dir, "bare")
	for _, name := range []string{"bash", "dirname", "uname", "id", "mktemp", "rm"} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(bare, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(bare, name)); err != nil {
			t.Fatal(err)
		}
	}
	const keeps = `sudo env "PATH=$PATH"`
	for _, verb := range []string{"e2e", "shell", "bench"} {
		for _, user := range []string{"", "ann"} {
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "test", "cluster", "run"), verb)
			cmd.Env = []string{"PATH=" + bare, "HOME=" + dir, "SUDO_USER=" + user}
			out, err := cmd.CombinedOutput()
			said := string(out)
			if cmd.ProcessState.ExitCode() != 1 || strings.Count(said, "\n") != 1 {
				t.Errorf("%s ended with %v, not with one line: %s", verb, err, said)
			}
			for _, name := range []string{"Go 1.26", "Rust", "gcc", "libc6-dev", "make", "git", "curl", "containerd"} {
				if !strings.Contains(said, name) {
					t.Errorf("%s does not name %s: %s", verb, name, said)
				}
			}
			if strings.Contains(said, keeps) != (user != "") {
				t.Errorf("with SUDO_USER=%q %s says %s", user, verb, said)
			}
		}
	}
}

// While packages are installed no service begins, and afterwards whoever decides about services is who did before: also when
// the install went wrong or was ended, and after one that was killed.
func TestNoServiceBeginsWhilePackagesAreInstalled(t *testing.T) {
	const theirs = "#!/bin/sh\nexit 104\n"
	for _, before := range []string{"", theirs} {
		for name, want := range map[string]int{"ends well": 0, "goes wrong": 7, "is ended": 143, "is killed": -1} {
			t.Run(fmt.Sprintf("%s, %d bytes before", name, len(before)), func(t *testing.T) {
				dir := t.TempDir()
				policy := filepath.Join(dir, "policy-rc.d")
				if before != "" {
					write(t, policy, before)
				}
				if code := installs(t, dir, name); code != want {
					t.Errorf("it ended with %d, want %d", code, want)
				}
				if name == "is killed" {
					installs(t, dir, "ends well")
				}
				left, err := os.ReadFile(policy)
				if err != nil && !os.IsNotExist(err) || string(left) != before {
					t.Errorf("there is %q (%v), and was %q", left, err, before)
				}
				if all, err := os.ReadDir(dir); err != nil || len(all) != min(len(before), 1) {
					t.Errorf("left is %v, %v", all, err)
				}
			})
		}
	}
}

// installs runs what stands for an install, which looks whether services may begin, and gives the code that it ends with.
func installs(t *testing.T, dir, name string) int {
	t.Helper()
	install := map[string]string{"ends well": "exit 0", "goes wrong": "exit 7"}[name]
	if install == "" {
		install = "read -r _" // until its input ends
	}
	cmd := exec.CommandContext(t.Context(), "./noservices", dir, "bash", "-c", `"$0" containerd start; echo $?; `+install, filepath.Join(dir, "policy-rc.d"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(out, answer); err != nil || string(answer) != "101\n" {
		t.Errorf("whether a service may begin is answered %q (%v)", answer, err)
	}
	switch name {
	case "is ended":
		err = cmd.Process.Signal(syscall.SIGTERM)
	case "is killed":
		err = cmd.Process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	_ = cmd.Wait() // its code says it
	return cmd.ProcessState.ExitCode()
}
