package localkube

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes makes a child the leader of a group of its own that dies with the thread that made it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// birthOf is when a process started, in ticks since boot: the 22nd field of its stat, counted behind the
// last parenthesis since a name may hold anything.
func birthOf(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return "", errors.New("a process's stat is too short")
	}
	return fields[19], nil
}

// reapStragglers kills every process that works in dir and has our environment. A child of a child may
// have left the group; it cannot leave both. Somebody's shell in that folder is not ours.
func reapStragglers(dir string) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, err := os.Readlink(p + "/cwd")
		if err != nil || !within(strings.TrimSuffix(cwd, " (deleted)"), dir) {
			continue
		}
		env, err := os.ReadFile(p + "/environ")
		if err == nil && (hasVariable(env, "TALLYMAN_POD_UID") || hasVariable(env, "TALLYMAN_JOB_ID")) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func hasVariable(env []byte, key string) bool {
	return bytes.HasPrefix(env, []byte(key+"=")) || bytes.Contains(env, []byte("\x00"+key+"="))
}
