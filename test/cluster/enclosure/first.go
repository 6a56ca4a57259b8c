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

	"golang.org/x/sys/unix"
)

const (
	keepEnv  = "TALLYMAN_CLUSTER_KEEP"
	stageEnv = "TALLYMAN_CLUSTER_STAGE"
	nodeName = "node"
)

// first is process 1 inside. It begins twice: control groups must be entered before the namespace that hides their
// place is made, and that namespace is one of a thread until the process is begun anew by it.
func first(name string, args []string) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if os.Getenv(stageEnv) == "" {
		if err := hideGroups(name, args); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
		}
		return 125
	}
	_ = os.Unsetenv(stageEnv)
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "cluster: making the namespaces:", err)
		return 125
	}
	code, err := serve(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 125
	}
	return code
}

func hideGroups(name string, args []string) error {
	if err := enter(name); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("control group namespace: %w", err)
	}
	// That this process ends with its parent is kept by the thread that began it, and goes on in the one that begins it
	// anew: by now that may be another.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("end with the parent: %w", err)
	}
	env := append(os.Environ(), stageEnv+"=2")
	return unix.Exec("/proc/self/exe", append([]string{roleFirst, name}, args...), env)
}

// furnish makes the inside: hostname, mounts, network.
func furnish() error {
	if err := unix.Sethostname([]byte(nodeName)); err != nil {
		return err
	}
	if err := makeMounts(strings.Split(os.Getenv(keepEnv), ":")); err != nil {
		return err
	}
	return makeNetwork()
}

// serve begins the program, buries whatever process is left without a parent, and returns the program's exit code:
// with this process gone, the kernel ends all the others.
func serve(args []string) (int, error) {
	if len(args) == 0 {
		return 0, errors.New("no program was named")
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	temp := filepath.Join(Home, "tmp")
	if err := os.MkdirAll(temp, 0o777|os.ModeSticky); err != nil {
		return 0, err
	}
	process, err := os.StartProcess(path, args, &os.ProcAttr{
		Env:   append(os.Environ(), "TMPDIR="+temp),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 0, err
	}
	for { // ends with the program
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("waiting for %s: %w", path, err)
		}
		if pid == process.Pid && (status.Exited() || status.Signaled()) {
			if status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return status.ExitStatus(), nil
		}
	}
}
