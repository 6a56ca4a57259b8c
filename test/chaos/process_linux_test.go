package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forks starts every process from one operating system thread that lives as long as the tests: a child that
// is to die with its parent means the thread that made it.
var forks = sync.OnceValue(func() chan<- func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
})

// process is one program that is kept alive as Kubernetes keeps a pod alive, but for when it is down on purpose.
type process struct {
	t    *testing.T
	name string
	args []string // the program first
	env  []string
	log  string // file

	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	exited chan struct{}
	orders orders        // what it is told when it starts
	off    time.Duration // what its clock is off by, in whole seconds
	clock  int64         // where those stand in its memory
	down   bool          // on purpose
	over   bool          // the world is coming to its end
}

// retirement is how long a program may take to end.
const retirement = 4 * time.Second

// restartAfter is what Kubernetes would wait for at least.
const restartAfter = 100 * time.Millisecond

// start begins a life, unless there is one.
func (p *process) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
	if p.cmd == nil && !p.over {
		p.begin()
	}
}

// begin needs the lock.
func (p *process) begin() {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer log.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err == nil {
		started := make(chan error)
		forks() <- func() {
			var err error
			p.clock, err = startStepped(cmd, p.off)
			started <- err
		}
		err = <-started
	}
	if err != nil {
		p.t.Errorf("start %s: %v", p.name, err)
		return
	}
	p.cmd, p.in, p.exited = cmd, in, make(chan struct{})
	p.tell()
	go p.watch(cmd, p.exited)
}

// watch begins another life where one ended that nobody wanted to end.
func (p *process) watch(cmd *exec.Cmd, exited chan struct{}) {
	_ = cmd.Wait() // its state says how
	p.mu.Lock()
	p.cmd = nil
	alone := !p.down && !p.over
	p.mu.Unlock()
	close(exited)
	if !alone {
		return
	}
	p.t.Logf("%s ended by itself: %s: %s", p.name, cmd.ProcessState, p.lastWord())
	<-time.After(restartAfter)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil && !p.down && !p.over {
		p.begin()
	}
}

// lastWord is the last line of its log.
func (p *process) lastWord() string {
	b, _ := os.ReadFile(p.log) // where there is none there is no word
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// kill ends the life of now, with no warning, and returns when it has ended.
func (p *process) kill() { p.end(false) }

func (p *process) end(over bool) {
	p.mu.Lock()
	p.down, p.over = true, p.over || over
	cmd, exited := p.cmd, p.exited
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // it may have ended
	<-exited
}

// retire ends the life of now as Kubernetes ends a pod: it may put its things in order first, for a while.
func (p *process) retire() {
	p.mu.Lock()
	p.down = true
	cmd, exited := p.cmd, p.exited
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-exited:
	case <-time.After(retirement):
		p.kill()
	}
}

// signal sends one to the life of now, if there is one.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // it may have ended
	}
}

// fill makes every disk full for the life of now, or gives it back: no file may grow.
func (p *process) fill(full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if full {
		limit.Cur = 0
	}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil && err != unix.ESRCH {
		p.t.Errorf("limit the files of %s: %v", p.name, err)
	}
}

// step puts its clock wrong, for this life and those that follow.
func (p *process) step(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off += by.Round(time.Second)
	if p.cmd == nil {
		return
	}
	if err := step(p.cmd.Process.Pid, p.clock, p.off); err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, os.ErrNotExist) {
		select {
		case <-p.exited:
		default:
			p.t.Errorf("step the clock of %s: %v", p.name, err)
		}
	}
}

// order changes what the part is told.
func (p *process) order(change func(*orders)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.orders)
	p.tell()
}

// tell needs the lock. Only the parts of this binary listen.
func (p *process) tell() {
	if p.cmd == nil {
		return
	}
	b, err := json.Marshal(p.orders)
	if err != nil {
		p.t.Error(err)
		return
	}
	_, _ = fmt.Fprintf(p.in, "%s\n", b) // it may have ended
}

type podProcess struct {
	pid       int
	command   string // claim, run or work
	pod, unit string // UIDs
}

// podProcesses lists what runs now for the pods of a data folder, known by their environment.
func podProcesses(dir string) []podProcess {
	procs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	var all []podProcess
	for _, proc := range procs {
		if one, ok := podProcessAt(proc, dir); ok {
			all = append(all, one)
		}
	}
	return all
}

func podProcessAt(proc, dir string) (podProcess, bool) {
	env, err := os.ReadFile(proc + "/environ")
	if err != nil || !strings.Contains(string(env), "TALLYMAN_DIR="+dir+"/") {
		return podProcess{}, false
	}
	line, err := os.ReadFile(proc + "/cmdline")
	args := strings.Split(string(line), "\x00")
	if err != nil || len(args) < 2 {
		return podProcess{}, false
	}
	one := podProcess{command: args[1]}
	for _, kv := range strings.Split(string(env), "\x00") {
		switch key, value, _ := strings.Cut(kv, "="); key {
		case "TALLYMAN_POD_UID":
			one.pod = value
		case "TALLYMAN_UNIT":
			one.unit = value
		}
	}
	one.pid, err = strconv.Atoi(filepath.Base(proc))
	return one, err == nil && one.pod != ""
}
