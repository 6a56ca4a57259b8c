package pipeline

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tallyman/internal/dev"
	"tallyman/internal/testenv"
)

// program is `tallyman dev` as people run it: a process of its own over a data folder that outlives it.
type program struct {
	t    *testing.T
	data string
	args []string // beside the addresses and the data folder
	env  []string // beside this process's own
	log  *os.File // what all of its lives had to complain of

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process of now has ended

	mu sync.Mutex
	at dev.Addresses
}

func newProgram(t *testing.T, args ...string) *program {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, data: t.TempDir(), args: args, log: log}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill()
		}
		if t.Failed() {
			t.Logf("what tallyman dev said last:\n%s", p.said(8<<10))
		}
		_ = log.Close()
	})
	return p
}

// start begins a life and returns when it is ready.
func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.Command(testenv.Binary(p.t, "tallyman"), append([]string{
		"dev", "--data", p.data, "--api", "127.0.0.1:0", "--sqs", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--admin", "127.0.0.1:0",
	}, p.args...)...)
	p.run()
}

// run begins the life of the command that p.cmd holds, and returns when it is ready.
func (p *program) run() {
	p.t.Helper()
	p.cmd.Stderr, p.cmd.Env = p.log, append(os.Environ(), p.env...)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, exited := p.cmd, make(chan struct{})
	p.exited = exited
	go func() {
		_ = cmd.Wait() // its state says how
		close(exited)
	}()
	p.awaitReady()
}

func (p *program) addressFile() string { return filepath.Join(p.data, "addresses.json") }

func (p *program) awaitReady() {
	p.t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !p.ready() {
		select {
		case <-p.exited:
			p.t.Fatalf("tallyman dev ended by itself: %s", p.cmd.ProcessState)
		case <-deadline:
			p.t.Fatalf("tallyman dev was not ready after %s", patience)
		case <-tick.C:
		}
	}
}

func (p *program) ready() bool {
	b, err := os.ReadFile(p.addressFile())
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	var a dev.Addresses
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	status, _, err := ask(p.t.Context(), http.MethodGet, a.Admin+"/readyz", "", nil)
	if err != nil || status != http.StatusOK {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = a
	return true
}

// addresses is where the newest life that was ready listens. Any goroutine may ask.
func (p *program) addresses() dev.Addresses {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// world is the newest life, to be spoken to.
func (p *program) world() *world { return &world{p.addresses(), p.t} }

// kill ends the life as a machine without mercy does. The next one takes away where this one listened, but only once it
// has the folder, and nobody shall be asked there before.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
	_ = os.Remove(p.addressFile())
}

// stop ends the life as a user does, and gives its exit code.
func (p *program) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("tallyman dev did not end within %s of SIGTERM", patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// said is the last of what all lives said.
func (p *program) said(most int) string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.ToValidUTF8(string(b[max(0, len(b)-most):]), "?")
}

type podProcess struct {
	pid     int
	command string // claim, run or work
	pod     string // its UID
}

// podProcesses lists what runs now for the pods of this program: known by the data folder in their environment.
func (p *program) podProcesses() []podProcess {
	var all []podProcess
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, proc := range procs {
		if one, ok := podProcessAt(proc, p.data); ok {
			all = append(all, one)
		}
	}
	return all
}

func podProcessAt(proc, data string) (podProcess, bool) {
	env, err := os.ReadFile(proc + "/environ")
	if err != nil || !strings.Contains(string(env), "TALLYMAN_DIR="+data+"/") {
		return podProcess{}, false
	}
	line, err := os.ReadFile(proc + "/cmdline")
	args := strings.Split(string(line), "\x00")
	if err != nil || len(args) < 2 {
		return podProcess{}, false
	}
	one := podProcess{command: args[1]}
	for _, kv := range strings.Split(string(env), "\x00") {
		if pod, ok := strings.CutPrefix(kv, "TALLYMAN_POD_UID="); ok {
			one.pod = pod
		}
	}
	one.pid, err = strconv.Atoi(filepath.Base(proc))
	return one, err == nil && one.pod != ""
}
