package enclosure

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the program, in all its roles: with this variable it encloses a line of shell.
const lineEnv = "ENCLOSURE_TEST_LINE"

func TestMain(m *testing.M) {
	Role()
	if line := os.Getenv(lineEnv); line != "" {
		code, err := Run(Options{Args: []string{"/bin/sh", "-c", line}, Keep: []string{os.Getenv("ENCLOSURE_TEST_KEEP")}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 99
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// enclosed prepares the test binary to run a line of shell inside.
func enclosed(t *testing.T, line string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), lineEnv+"="+line)
	cmd.Stderr = os.Stderr
	return cmd
}

func output(t *testing.T, line string) string {
	t.Helper()
	out, err := enclosed(t, line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(out)
}

func TestTheExitCodeIsHandedOn(t *testing.T) {
	for _, want := range []int{0, 3} {
		err := enclosed(t, fmt.Sprintf("exit %d", want)).Run()
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != want {
			t.Errorf("exit %d became %d", want, code)
		}
	}
}

func TestOnlyItsOwnProcessesAndNetworkAreSeen(t *testing.T) {
	if got := strings.Fields(output(t, "ls /sys/class/net")); strings.Join(got, " ") != "lo node0" {
		t.Errorf("interfaces inside: %v", got)
	}
	if got := strings.TrimSpace(output(t, "hostname; ls -d /proc/[0-9]* | wc -l")); !strings.HasPrefix(got, "node\n") || len(got) > 7 {
		t.Errorf("hostname and number of processes inside: %q", got)
	}
	if got := output(t, "cat /etc/resolv.conf"); got != resolvConf {
		t.Errorf("the resolver's configuration inside: %q", got)
	}
}

func TestWhatIsWrittenInsideStaysInside(t *testing.T) {
	mark := "enclosure-test-" + strconv.Itoa(os.Getpid())
	before := settings(t)
	output(t, "echo x > /run/"+mark+"; echo x > /var/lib/"+mark+"; echo x > /var/log/"+mark+`
		for f in vm/overcommit_memory kernel/panic kernel/panic_on_oops; do echo 7 > /proc/sys/$f; done
		echo 0 > /proc/sys/net/ipv4/ip_forward`)
	for _, dir := range []string{"/run", "/var/lib", "/var/log"} {
		if _, err := os.Stat(filepath.Join(dir, mark)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s/%s: %v", dir, mark, err)
		}
	}
	if after := settings(t); after != before {
		t.Errorf("the kernel's settings were\n%s and are\n%s", before, after)
	}
}

func TestKeptFoldersAreTheMachinesOwn(t *testing.T) {
	dir, err := os.MkdirTemp("/var/lib", "enclosure-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := enclosed(t, "echo kept > "+dir+"/file")
	cmd.Env = append(cmd.Env, "ENCLOSURE_TEST_KEEP="+dir)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "kept\n" {
		t.Errorf("the file outside: %q, %v", b, err)
	}
}

func TestNothingIsLeftAtTheEnd(t *testing.T) {
	cmd := enclosed(t, "mkdir -p /sys/fs/cgroup/memory/a/b /sys/fs/cgroup/a/b 2>/dev/null; sleep 600 & exit 0")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if left := groupsOf(t, cmd.Process.Pid); len(left) > 0 {
		t.Errorf("control groups are left: %v", left)
	}
}

// A killed `make` can pass nothing on to its children, and a killed run can clean nothing up itself.
func TestNothingIsLeftAfterSIGKILL(t *testing.T) {
	for name, parent := range map[string]bool{"of the run": false, "of its parent": true} {
		t.Run(name, func(t *testing.T) {
			cmd := enclosed(t, "sleep 600 & echo up; wait")
			if parent {
				cmd = exec.CommandContext(t.Context(), "/bin/sh", "-c", cmd.Path+"; true")
				cmd.Env = append(os.Environ(), lineEnv+"=sleep 600 & echo up; wait")
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
				t.Fatalf("it said %q: %v", line, err)
			}
			run := cmd.Process.Pid
			if parent {
				run = childOf(t, run)
			}
			members := processes(t, run)
			if len(members) < 3 {
				t.Fatalf("its control groups hold %v: this test looks in the wrong place", members)
			}
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			gone(t, run, members)
		})
	}
}

func TestHierarchiesOfBothVersions(t *testing.T) {
	v1 := "30 25 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" +
		"31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"32 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" +
		"33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	want := []hierarchy{
		{"/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct"},
		{"/sys/fs/cgroup/memory", "memory"},
		{"/sys/fs/cgroup/systemd", "none,name=systemd"},
	}
	if got := hierarchies(v1); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("version 1 beside version 2: %v", got)
	}
	v2 := "30 25 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
	if got := hierarchies(v2); len(got) != 1 || got[0].Dir != cgroupRoot || got[0].Options != "" {
		t.Errorf("version 2: %v", got)
	}
}

func settings(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	for _, name := range []string{
		"vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "net/ipv4/ip_forward",
	} {
		b, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %s", name, b)
	}
	return all.String()
}

// groupsOf lists the control groups of a run that are there.
func groupsOf(t *testing.T, pid int) []string {
	t.Helper()
	all, err := mounted()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, h := range all {
		matches, err := filepath.Glob(filepath.Join(h.Dir, groupPrefix+strconv.Itoa(pid)+"-*"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, matches...)
	}
	return found
}

// processes lists who is in the run's control groups, each with the time when it started.
func processes(t *testing.T, pid int) map[int]string {
	t.Helper()
	members := make(map[int]string)
	for _, dir := range groupsOf(t, pid) {
		files, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
		for _, file := range append(files, filepath.Join(dir, "cgroup.procs")) {
			b, _ := os.ReadFile(file)
			for _, id := range strings.Fields(string(b)) {
				if n, err := strconv.Atoi(id); err == nil {
					members[n] = startTime(n)
				}
			}
		}
	}
	return members
}

// gone waits until neither a process nor a control group of the run is there.
func gone(t *testing.T, run int, members map[int]string) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		var alive []int
		for pid, started := range members {
			if now := startTime(pid); now != "" && now == started {
				alive = append(alive, pid)
			}
		}
		groups := groupsOf(t, run)
		if len(alive) == 0 && len(groups) == 0 {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("still there: processes %v, control groups %v", alive, groups)
		case <-ticker.C:
		}
	}
}

func childOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b))
	if len(fields) != 1 {
		t.Fatalf("children of %d: %q", pid, b)
	}
	child, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}
