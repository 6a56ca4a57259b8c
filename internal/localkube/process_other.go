//go:build !linux

package localkube

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes makes a child the leader of a group of its own. Only Linux lets it die with its parent;
// elsewhere the next run stops it.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// birthOf is when a process started, in the words of ps.
func birthOf(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// reapStragglers needs /proc.
func reapStragglers(string) {}
