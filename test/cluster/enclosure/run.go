package enclosure

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// The roles are told by the name under which the binary is begun.
const (
	roleSweeper = "cluster-sweeper"
	roleFirst   = "cluster-first"
)

// Options say what runs inside.
type Options struct {
	Args []string // the program and its arguments
	Env  []string // added to this process's own
	Dir  string   // its working folder
	Keep []string // folders that it must be able to write through to the machine's disk
}

// Places inside that callers need to know. Run is a file system in memory, new for each run.
const (
	Home   = "/run/tallyman"
	NodeIP = "10.89.0.1"
)

// Role must be called first in main: where this process was begun in one of the roles of this package, it plays that
// role and never returns.
func Role() {
	switch os.Args[0] {
	case roleSweeper:
		os.Exit(sweep(os.Args[1]))
	case roleFirst:
		os.Exit(first(os.Args[1], os.Args[2:]))
	}
}

// Run runs the program in namespaces of its own and returns its exit code. When Run returns, and also when this
// process is killed, nothing of it is left.
func Run(o Options) (int, error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("root is needed, to make namespaces, mounts and control groups: run it with sudo")
	}
	for _, name := range abandoned() {
		if err := removeGroups(name, 0); err != nil {
			fmt.Fprintf(os.Stderr, "cluster: control groups of an earlier run stay: %v\n", err)
		}
	}
	name := groupName(os.Getpid())
	s, err := startSweeper(name)
	if err != nil {
		return 0, err
	}
	code, err := runFirst(name, o)
	return code, errors.Join(err, s.finish())
}

func runFirst(name string, o Options) (int, error) {
	// The parent-death signal is bound to the thread that forks, so this one must live as long as the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", append([]string{name}, o.Args...)...)
	cmd.Args[0] = roleFirst
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Dir = o.Dir
	keep, err := absolute(o.Keep)
	if err != nil {
		return 0, err
	}
	cmd.Env = append(os.Environ(), append(o.Env, keepEnv+"="+strings.Join(keep, ":"))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig: syscall.SIGKILL,
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	gone := parentGone()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("namespaces: %w: in a container, it must be a privileged one", err)
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-signals:
				// A terminal has told everything inside already; a second time is harmless.
				_ = cmd.Process.Signal(sig)
			case <-gone:
				_ = cmd.Process.Kill()
				return
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if exit.ExitCode() < 0 {
			return 0, fmt.Errorf("the run was ended: %s", exit)
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

func absolute(paths []string) ([]string, error) {
	all := make([]string, 0, len(paths))
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		all = append(all, abs)
	}
	return all, nil
}
