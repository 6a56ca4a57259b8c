package enclosure

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// How long the processes of a killed run may take to be gone: the kernel ends them at once, but busy ones late.
const sweepPatience = 60 * time.Second

// sweeper is the process that outlives a run by the time it takes to remove its control groups.
type sweeper struct {
	cmd  *exec.Cmd
	hold io.Closer
}

// startSweeper begins it in a session of its own, so that what kills the run's terminal or its group spares it. It
// holds the reading end of a pipe whose writing end only this process has: the end of this process is its signal.
func startSweeper(name string) (*sweeper, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe", name)
	cmd.Args[0] = roleSweeper
	cmd.Stdin, cmd.Stderr = r, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("sweeper: %w", err)
	}
	return &sweeper{cmd: cmd, hold: w}, r.Close()
}

// finish tells it that the run has ended and waits until it has swept.
func (s *sweeper) finish() error {
	if err := s.hold.Close(); err != nil {
		return err
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("sweeping control groups: %w", err)
	}
	return nil
}

// sweep is the sweeper's main.
func sweep(name string) int {
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := removeGroups(name, sweepPatience); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: control groups %s are left: %v; the next run tries again\n", name, err)
		return 1
	}
	return 0
}
