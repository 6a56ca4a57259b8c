package dev

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// held has another process take the folder's lock and keep it until done is called.
func held(t *testing.T, dir string) (done func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "flock", filepath.Join(dir, "LOCK"), "sh", "-c", "echo held; read -r line")
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
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return func() {
		_ = in.Close()
		_ = cmd.Wait() // it fails, since there was no line to read
	}
}

func TestOneProcessHasTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	done := held(t, dir)
	defer done()
	_, err := openFolder(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "choose another folder with --data") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// What a killed process was just starting holds its lock a moment longer; a restart waits for that.
func TestALockThatIsGivenBackSoonIsNoError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	done := held(t, dir)
	opened := make(chan error, 1)
	go func() {
		f, err := openFolder(t.Context(), dir)
		if err == nil {
			f.close()
		}
		opened <- err
	}()
	done()
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
