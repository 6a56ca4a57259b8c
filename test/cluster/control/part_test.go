package control

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is a part that runs a line of shell and is ready when it has written the file.
func shell(t *testing.T, line string) (p *part, file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "said")
	p = &part{
		name: "shell", path: "/bin/sh", args: []string{"-c", "echo said >> " + file + "; " + line}, log: filepath.Join(dir, "log"),
		ready: func(context.Context) error {
			_, err := os.Stat(file)
			return err
		},
	}
	t.Cleanup(func() { _ = p.stop(context.Background(), syscall.SIGKILL) })
	return p, file
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAPartThatEndsByItselfIsBegunAgain(t *testing.T) {
	p, file := shell(t, "exit 1")
	if err := p.start(patient(t)); err != nil {
		t.Fatal(err)
	}
	err := until(patient(t), func() (bool, error) {
		b, err := os.ReadFile(file)
		return strings.Count(string(b), "said") >= 2, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStoppedPartStaysStopped(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"stop": syscall.SIGTERM, "kill": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			p, _ := shell(t, "exec sleep 600")
			if err := p.start(patient(t)); err != nil {
				t.Fatal(err)
			}
			pid := p.process.Pid
			if err := p.stop(patient(t), sig); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("its process is still there: %v", err)
			}
			if s := p.state(); s.Wanted || s.Restarts != 0 {
				t.Errorf("its state is %+v", s)
			}
			if err := p.start(patient(t)); err != nil {
				t.Errorf("it does not start again: %v", err)
			}
		})
	}
}

func TestAPartThatIsNeverReadySaysWhatItPrinted(t *testing.T) {
	p, _ := shell(t, "echo no such flag >&2; exec sleep 600")
	p.ready = func(context.Context) error { return errors.New("nobody answers") }
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := p.start(ctx)
	if err == nil || !strings.Contains(err.Error(), "nobody answers") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("the error is %v", err)
	}
}
