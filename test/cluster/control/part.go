package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	stopPatience  = 20 * time.Second // from SIGTERM to SIGKILL
	restartPause  = time.Second
	restartsAtAll = 100
)

// part is one process of the cluster. One that ends unasked is begun again, as the kubelet of a real control plane
// would; one that was stopped stays stopped.
type part struct {
	name  string
	path  string
	args  []string
	env   []string
	ready func(ctx context.Context) error
	log   string // the file that takes what it prints

	mu       sync.Mutex
	wanted   bool
	process  *os.Process
	ended    chan struct{} // of the process that runs now, closed when it has ended
	restarts int
}

// start begins the part, unless it runs, and waits until it is ready.
func (p *part) start(ctx context.Context) error {
	p.mu.Lock()
	if !p.wanted {
		p.wanted = true
		if err := p.launch(); err != nil {
			p.wanted = false
			p.mu.Unlock()
			return err
		}
	}
	p.mu.Unlock()
	return p.await(ctx)
}

// launch begins the process and whoever watches it. The caller holds mu.
func (p *part) launch() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own, so that an interrupt of the terminal is the tests' alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", p.name, err), out.Close())
	}
	p.process, p.ended = cmd.Process, make(chan struct{})
	go p.watch(cmd, out, p.ended)
	return nil
}

func (p *part) watch(cmd *exec.Cmd, out io.Closer, ended chan struct{}) {
	err := cmd.Wait()
	_ = out.Close()
	close(ended)
	if !p.stillWanted() {
		return
	}
	slog.Warn("a part of the cluster ended by itself", "part", p.name, "how", fmt.Sprint(err), "log", p.log)
	time.AfterFunc(restartPause, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.wanted || p.ended != ended {
			return
		}
		if p.restarts++; p.restarts > restartsAtAll {
			slog.Error("a part of the cluster is not begun again", "part", p.name, "after", restartsAtAll)
			return
		}
		if err := p.launch(); err != nil {
			slog.Error("a part of the cluster cannot be begun again", "part", p.name, "error", err)
		}
	})
}

func (p *part) stillWanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted
}

// stop ends the part with this signal and waits until it is gone.
func (p *part) stop(ctx context.Context, sig syscall.Signal) error {
	p.mu.Lock()
	running, process, ended := p.wanted, p.process, p.ended
	p.wanted = false
	p.mu.Unlock()
	if !running {
		return nil
	}
	if err := process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has not ended: %w", p.name, ctx.Err())
	case <-timer.C:
		_ = process.Kill()
	}
	<-ended // SIGKILL is not refused
	return nil
}

// await asks the part until it says that it is ready.
func (p *part) await(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := p.ready(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its last words are in %s:\n%s", p.name, err, p.log, tail(p.log))
		case <-ticker.C:
		}
	}
}

// tail reads the end of a log, for an error message.
func tail(file string) string {
	const most = 2000
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}
