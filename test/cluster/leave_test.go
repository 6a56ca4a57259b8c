package cluster_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A whole cluster, with a pod that runs, is killed with SIGKILL: the machine is as it was. This test runs outside of
// any cluster and begins one of its own.
func TestNothingIsLeftOfAKilledCluster(t *testing.T) {
	before := traces(t)
	c := begin(t)
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
	c.leavesNothing(t, before)
}

// Two clusters one after the other: each comes up as if it were the first, and ends by itself without a trace.
func TestTwoClustersInARowLeaveNothing(t *testing.T) {
	before := traces(t)
	for range 2 {
		c := begin(t)
		if err := c.in.Close(); err != nil { // which its program waits for
			t.Fatal(err)
		}
		if err := c.cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		c.leavesNothing(t, before)
	}
}

// begun is a cluster in which a pod runs, and every process of it.
type begun struct {
	cmd    *exec.Cmd
	in     io.Closer
	inside []string
}

func begin(t *testing.T) *begun {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t), "run", "/bin/sh", "-c", `
		kubectl run left --image=localhost:5000/pause:1 --restart=Never >&2 &&
		kubectl wait --for=condition=Ready pod/left --timeout=90s >&2 && echo up && cat`)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("the cluster said %q: %v", line, err)
	}
	inside := descendants(t, cmd.Process.Pid)
	for _, name := range []string{"etcd", "kube-apiserver", "kubelet", "containerd", "operator", "pause"} {
		if !strings.Contains(strings.Join(inside, "\n"), name) {
			t.Fatalf("no %s among %v: this test looks in the wrong place", name, inside)
		}
	}
	return &begun{cmd, in, inside}
}

// leavesNothing holds the machine to what it was: no process, mount, interface, rule, setting, file or control group.
func (c *begun) leavesNothing(t *testing.T, before []string) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		left := append(alive(c.inside), difference(before, traces(t))...)
		for _, where := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} { // version 2 and version 1
			groups, err := filepath.Glob(fmt.Sprintf("%s/tallyman-cluster-%d-*", where, c.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, groups...)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("still there:\n%s", strings.Join(left, "\n"))
		case <-ticker.C:
		}
	}
}

// program is the command that `make e2e` has built.
func program(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/cluster/cluster")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run this with `make e2e RUN=%s`", err, t.Name())
	}
	return path
}

// traces is what a cluster could leave on a machine, one line for each thing.
func traces(t *testing.T) []string {
	t.Helper()
	var all []string
	add := func(kind, text string) {
		for line := range strings.Lines(text) {
			all = append(all, kind+" "+strings.TrimSpace(line))
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		add("interface", i.Name)
	}
	add("mount", read(t, "/proc/self/mountinfo"))
	for _, name := range []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
		"kernel/keys/root_maxbytes", "net/ipv4/ip_forward",
	} {
		add("setting", name+" "+read(t, filepath.Join("/proc/sys", name)))
	}
	for _, command := range [][]string{{"nft", "list", "ruleset"}, {"iptables-save"}, {"ip6tables-save"}} {
		out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).Output()
		if err != nil {
			t.Fatalf("%v: %v", command, err)
		}
		add("rule", withoutTimes(out))
	}
	for _, pattern := range []string{
		"/run/*", "/var/lib/*", "/var/log/*", "/etc/cni/*", "/opt/*", "/usr/libexec/*", "/var/lib/kubelet/*", "/var/lib/cni/*",
		"/sys/fs/cgroup/kubepods*", "/sys/fs/cgroup/*/kubepods*", "/sys/fs/cgroup/*/k8s.io*",
	} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		add("file", strings.Join(files, "\n"))
	}
	sort.Strings(all)
	return all
}

// withoutTimes drops the comments of iptables-save, which hold the time of day.
func withoutTimes(out []byte) string {
	var kept bytes.Buffer
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("#")) {
			kept.Write(line)
		}
	}
	return kept.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func difference(before, after []string) []string {
	count := make(map[string]int)
	for _, line := range before {
		count[line]++
	}
	var added []string
	for _, line := range after {
		if count[line]--; count[line] < 0 {
			added = append(added, line)
		}
	}
	return added
}

// descendants lists a process and all below it, and its control groups' names: "PID START COMMAND".
func descendants(t *testing.T, root int) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	children := make(map[string][]string)
	about := make(map[string]string)
	for _, file := range stats {
		pid, command, fields := stat(file)
		if len(fields) < 20 {
			continue // it has ended meanwhile
		}
		children[fields[1]] = append(children[fields[1]], pid)
		about[pid] = pid + " " + fields[19] + " " + command
	}
	var found []string
	for todo := []string{fmt.Sprint(root)}; len(todo) > 0; todo = todo[1:] {
		found = append(found, about[todo[0]])
		todo = append(todo, children[todo[0]]...)
	}
	return found
}

// stat splits /proc/PID/stat: the process id, the name, and the fields after it.
func stat(file string) (pid, command string, fields []string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", "", nil
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	return strings.TrimSpace(string(b[:open])), string(b[open+1 : end]), strings.Fields(string(b[end+1:]))
}

// alive is which of the processes are there still, not others that got their numbers.
func alive(processes []string) []string {
	var left []string
	for _, line := range processes {
		known := strings.Fields(line)
		if _, _, fields := stat("/proc/" + known[0] + "/stat"); len(fields) >= 20 && fields[19] == known[1] && fields[0] != "Z" {
			left = append(left, "process "+line)
		}
	}
	return left
}
