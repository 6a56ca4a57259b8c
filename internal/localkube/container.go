package localkube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/jonboulle/clockwork"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	maxTermination = 4096            // bytes that the kubelet keeps of a termination message
	outputPatience = 2 * time.Second // for those who hold a dead container's output open
	exitStartError = 128             // what containerd makes of a container that cannot be started
)

// container is one child process to be.
type container struct {
	path, arg, dir string
	env            []string
	out            io.Writer
	termination    string // path of its termination message
	clock          clockwork.Clock
	forker         *forker
}

// process is a child that was started, as it is written down: enough to know it again after a crash.
type process struct {
	PID   int    `json:"pid"`
	Birth string `json:"birth"` // when the system says that it started; no two processes share both

	started time.Time
	exited  chan struct{} // closed once err is set
	err     error
	output  *os.File
	silent  chan struct{} // closed once all of its output was taken
}

// start makes the child, or gives the end that a container has that could not be started.
func (c *container) start() (*process, corev1.ContainerStateTerminated) {
	p := &process{started: c.clock.Now(), exited: make(chan struct{}), silent: make(chan struct{})}
	cmd, err := c.fork(p)
	if err != nil {
		at := metav1.Time{Time: c.clock.Now()}
		return nil, corev1.ContainerStateTerminated{
			ExitCode: exitStartError, Reason: "StartError", Message: fmt.Sprintf("cannot start the processor: %v", err),
			StartedAt: at, FinishedAt: at,
		}
	}
	p.PID = cmd.Process.Pid
	p.Birth, _ = birthOf(p.PID) // a child that is gone by now needs no knowing again
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, corev1.ContainerStateTerminated{}
}

// fork starts the child with its output in a pipe of ours: with a pipe of os/exec's, a child's end would
// wait for all who hold that open.
func (c *container) fork(p *process) (*exec.Cmd, error) {
	output, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer input.Close()
	cmd := exec.Command(c.path, c.arg)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = c.dir, c.env, input, input, childAttributes()
	if err := c.forker.start(cmd); err != nil {
		return nil, errors.Join(err, output.Close())
	}
	p.output = output
	go func() {
		defer close(p.silent)
		_, _ = io.Copy(c.out, output) // it takes everything, and ends when nobody is left to write
	}()
	return cmd, nil
}

// wait waits for the child's end. When ctx ends first it is stopped as Kubernetes does: stopping is called,
// then SIGTERM to the child alone, and after the grace SIGKILL to its whole group.
func (c *container) wait(ctx context.Context, p *process, grace time.Duration, stopping func()) corev1.ContainerStateTerminated {
	select {
	case <-p.exited:
	case <-ctx.Done():
		stopping()
		c.stop(p, grace)
	}
	ended := c.ended(p)
	// Whatever the child left running dies with it, as in a container.
	killGroup(p.PID)
	if ended.ExitCode > 128 {
		reapStragglers(c.dir)
	}
	timer := time.NewTimer(outputPatience) // a real one, for those whom we could not kill are real too
	defer timer.Stop()
	select {
	case <-p.silent:
	case <-timer.C:
	}
	_ = p.output.Close() // reading from it ends, if it has not
	return ended
}

func (c *container) stop(p *process, grace time.Duration) {
	_ = syscall.Kill(p.PID, syscall.SIGTERM) // it may have ended meanwhile
	timer := c.clock.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
		return
	case <-timer.Chan():
	}
	killGroup(p.PID)
	<-p.exited
}

// ended is the state that the kubelet would give.
func (c *container) ended(p *process) corev1.ContainerStateTerminated {
	t := corev1.ContainerStateTerminated{
		Reason: "Completed", StartedAt: metav1.Time{Time: p.started}, FinishedAt: metav1.Time{Time: c.clock.Now()},
		Message: readTermination(c.termination),
	}
	t.ExitCode = exitCode(p.err)
	if t.ExitCode != 0 {
		t.Reason = "Error"
	}
	return t
}

// exitCode is a container's: 128 and the signal for one that a signal ended.
func exitCode(err error) int32 {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0 // it ended well; at most its output was held open by others
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int32(s.Signal())
	}
	return int32(exit.ExitCode())
}

// readTermination reads a termination message, cut as the kubelet cuts it. None is as good as an empty one, and so is
// what the work put in its place: here no kubelet mounts it, and a pipe would be waited for.
func readTermination(path string) string {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTermination))
	if err != nil {
		return ""
	}
	return string(b)
}

// killGroup kills a child and whoever is still in its process group.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
