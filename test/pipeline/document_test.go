package pipeline

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"tallyman/internal/testenv"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// shellBlocks are what a document tells its reader to paste.
func shellBlocks(document string) (blocks []string) {
	for _, m := range shellBlock.FindAllStringSubmatch(document, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// asCheckout gives a folder with those folders of the repository that the documents' commands name, so that what is
// pasted leaves its files there and not in the repository.
func asCheckout(t *testing.T) (dir, root string) {
	t.Helper()
	dir, root = t.TempDir(), filepath.Dir(filepath.Dir(testenv.Binary(t, "tallyman")))
	for _, name := range []string{"bin", "examples"} {
		if err := os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, root
}

// What docs/own-job.md says to paste does what it says, letter by letter: only the ports and the data folder are the
// test's own, by the environment.
func TestTheDocumentsOwnJobIsDone(t *testing.T) {
	t.Parallel()
	dir, root := asCheckout(t)
	document, err := os.ReadFile(filepath.Join(root, "docs", "own-job.md"))
	if err != nil {
		t.Fatal(err)
	}
	const result = `{"words":4,"distinct":4,`
	blocks := shellBlocks(string(document))
	if len(blocks) != 2 || !strings.Contains(string(document), result) {
		t.Fatalf("docs/own-job.md has %d blocks to paste, 2 are expected, and a result %s", len(blocks), result)
	}
	p := newProgram(t)
	p.cmd = exec.Command("sh", "-c", blocks[0])
	p.cmd.Dir, p.cmd.SysProcAttr = dir, &syscall.SysProcAttr{Setpgid: true}
	p.env = []string{
		"TALLYMAN_DATA=" + p.data, "TALLYMAN_API=127.0.0.1:0", "TALLYMAN_SQS=127.0.0.1:0", "TALLYMAN_NATS=127.0.0.1:0",
		"TALLYMAN_ADMIN=127.0.0.1:0", "TALLYMAN_BACKOFF_SCALE=0.01",
	}
	p.cmd.Stdout = io.Discard // a pipe, so that the shell has ended for us when all that holds it has
	t.Cleanup(func() {
		if p.exited != nil {
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) // the shell and what it started
			<-p.exited
		}
	})
	p.run()
	paste := exec.CommandContext(t.Context(), "sh", "-c", blocks[1])
	paste.Dir, paste.Env = dir, append(os.Environ(), "TALLYMAN_SERVER="+p.addresses().API)
	got := finish(t, paste)
	id, _, _ := strings.Cut(got.out, " ")
	if got.code != 0 || got.err != "" || !strings.Contains(got.out, "succeeded") {
		t.Fatalf("%+v\n%+v", got, p.world().get(id))
	}
	if j := p.world().ended(id); !strings.HasPrefix(string(j.Result), result) {
		t.Errorf("the result is %s; the document says that it begins %s", j.Result, result)
	}
	if s := p.world().stats(); s.FailedJob != 0 {
		t.Errorf("it took another attempt: %+v", s)
	}
}
