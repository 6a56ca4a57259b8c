package localkube

import (
	"errors"
	"os/exec"
	"runtime"
)

// forker starts children from one operating system thread that lives as long as Run. On Linux a child may
// ask to die with its parent, and means the thread that made it: any other thread of a Go program may end
// at any time.
type forker struct {
	asks chan ask
	done chan struct{}
}

type ask struct {
	cmd    *exec.Cmd
	answer chan error
}

func newForker() forker { return forker{asks: make(chan ask), done: make(chan struct{})} }

// run starts the thread and gives what ends it.
func (f *forker) run() (stop func()) {
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for {
			select {
			case a := <-f.asks:
				a.answer <- a.cmd.Start()
			case <-f.done:
				return
			}
		}
	}()
	return func() { close(f.done) }
}

var errStopped = errors.New("localkube has stopped")

// start starts cmd.
func (f *forker) start(cmd *exec.Cmd) error {
	a := ask{cmd, make(chan error, 1)}
	select {
	case f.asks <- a:
		return <-a.answer
	case <-f.done:
		return errStopped
	}
}
