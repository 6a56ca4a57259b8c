package localkube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// parentEnv makes this test binary a program that does nothing but run a Kube in the folder it names,
// so that a test may kill it as nobody may kill a test.
const parentEnv = "LOCALKUBE_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		if err := beParent(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func beParent(dir string) error {
	w := &world{dir: dir}
	o, err := w.options()
	if err != nil {
		return err
	}
	k, err := New(o)
	if err != nil {
		return err
	}
	return k.Run(context.Background())
}

// parent starts a process that runs a Kube in the world's folder, and gives what kills it.
func (w *world) parent() (kill func()) {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), parentEnv+"="+w.dir), w.t.Output()
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	kill = func() {
		if cmd.ProcessState != nil {
			return
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // that it was killed is what was wanted
	}
	w.t.Cleanup(kill)
	return kill
}

// onDisk waits, with no Kube of our own, until a file says something.
func (w *world) onDisk(name string) string {
	w.t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(filepath.Join(w.dir, name)); err == nil && len(b) > 0 {
			return strings.TrimSpace(string(b))
		}
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("waited %s for %s", patience, name)
		}
	}
}

// writtenDown waits until the only unit's file says something.
func (w *world) writtenDown(what string) {
	w.t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		files, err := filepath.Glob(filepath.Join(w.dir, "kube", "units", "*.json"))
		if err == nil && len(files) == 1 {
			if b, err := os.ReadFile(files[0]); err == nil && strings.Contains(string(b), what) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("waited %s for a unit that says %s", patience, what)
		}
	}
}

// dead waits until a process is no more, or only a zombie that nobody has collected.
func (w *world) dead(pid string) {
	w.t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		w.t.Fatal(err)
	}
	tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
		if stat, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("process %s lives on", pid)
		}
	}
}

// TestKilled kills the program at its work: its children die with it, and the next one goes on with the
// same units, each in a new attempt that spends no retry.
func TestKilled(t *testing.T) {
	t.Parallel()
	work := `[ $attempt = 2 ] && exit 0; echo $$ >"$FAKE/began"; exec sleep 1000`
	w := newWorld(t, nil, work)
	kill := w.parent()
	pid := w.onDisk("began")
	w.writtenDown(`"phase":"Running"`)
	kill()
	if runtime.GOOS == "linux" {
		w.dead(pid)
	}
	w.run()
	j := w.finished(1)[0]
	_, pods := w.only()
	if !jobCondition(j, batchv1.JobComplete) || j.Status.Failed != 0 || len(pods) != 2 {
		t.Fatalf("%d pods, status %+v", len(pods), j.Status)
	}
	lost := pods[0]
	state := containerStatus(lost, contract.ContainerRun).State.Terminated
	if lost.Status.Phase != corev1.PodFailed || disruption(lost) != "DeletionByPodGC" || state == nil || state.Reason != "ContainerStatusUnknown" {
		t.Errorf("the lost pod is %+v", lost.Status)
	}
	w.dead(pid)
}

// TestShutdown ends Run in good order: the attempt is disrupted, and the next Run goes on.
func TestShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, once).run()
	w.until("the work to begin", func() bool { return w.exists("began") })
	w.running(1)
	w.stop()
	j, pods := w.only()
	if jobOver(j) || len(pods) != 1 || disruption(pods[0]) != "TerminationByKubelet" || pods[0].Status.Phase != corev1.PodFailed {
		t.Fatalf("status %+v, pods %+v", j.Status, pods)
	}
	w.run()
	j = w.finished(1)[0]
	if !jobCondition(j, batchv1.JobComplete) || j.Status.Failed != 0 {
		t.Errorf("status %+v", j.Status)
	}
}

// TestUnreadableUnit sets a broken file aside and goes on with the rest.
func TestUnreadableUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "exit 0").run()
	w.finished(1)
	w.stop()
	bad := filepath.Join(w.dir, "kube", "units", "11111111-2222-4333-8444-555555555555.json")
	if err := os.WriteFile(bad, []byte(`{"v":1,"job":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad+halfWritten, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run()
	if _, err := os.Stat(bad + halfWritten); err == nil {
		t.Error("a file that was half written was kept")
	}
	if n := len(w.kube.Jobs()); n != 1 {
		t.Errorf("%d units, want the one that can be read", n)
	}
	if _, err := os.Stat(bad + ".bad"); err != nil {
		t.Error(err)
	}
}

// TestUnitOfADroppedQueue goes with its queue, as with a ScaledJob that was deleted.
func TestUnitOfADroppedQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, once).run()
	w.until("the work to begin", func() bool { return w.exists("began") })
	w.stop()
	w.o.Queues[0].Name = "another"
	w.run()
	w.until("the unit to be gone", func() bool { return len(w.kube.Jobs()) == 0 && w.count("kube/units") == 0 })
}
