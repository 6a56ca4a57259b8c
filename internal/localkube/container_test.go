package localkube

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tallyman/contract"
)

// TestEnvironment holds that a container sees what a pod would give it and nothing of this process.
func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_PARENT", "1")
	w := newWorld(t, func(o *Options) {
		o.Queues[0].Env = []string{"MINE=1"}
	}, `env >"$FAKE/env"; pwd >"$FAKE/pwd"`).run()
	j := w.finished(1)[0]
	_, pods := w.only()
	b, err := os.ReadFile(filepath.Join(w.dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Split(strings.TrimSpace(string(b)), "\n")
	pod := filepath.Join(w.kube.podsDir(), string(pods[0].UID))
	for _, want := range []string{
		"MINE=1", "FAKE=" + w.dir, "TALLYMAN_QUEUE=q", "TALLYMAN_UNIT=" + string(j.UID), "TALLYMAN_UNIT_NAME=" + j.Name,
		"TALLYMAN_POD_UID=" + string(pods[0].UID), "TALLYMAN_POD_NAME=" + pods[0].Name, "TALLYMAN_NAMESPACE=default",
		"TALLYMAN_CLUSTER=local", "TALLYMAN_NODE=localhost", "TALLYMAN_DIR=" + filepath.Join(pod, "tallyman"),
		"TALLYMAN_TERMINATION_LOG=" + filepath.Join(pod, "run.termination"), "TALLYMAN_GRACE_SECONDS=1",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(string(b), "SECRET_OF_THE_PARENT") {
		t.Error("the parent's environment was inherited")
	}
	if dir := w.onDisk("pwd"); dir != filepath.Join(pod, "work") {
		t.Errorf("it works in %s", dir)
	}
	if _, err := os.Stat(filepath.Join(pod, "work")); err == nil {
		t.Error("the folder of an ended pod was kept")
	}
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, `yes | head -c 5000000; head -c 9000 /dev/zero | tr '\0' x >"$TALLYMAN_TERMINATION_LOG"`).run()
	w.finished(1)
	_, pods := w.only()
	info, err := os.Stat(filepath.Join(w.kube.podsDir(), string(pods[0].UID), "log"))
	if err != nil || info.Size() != maxLog {
		t.Errorf("the log is %v, %v; want %d bytes", info, err, maxLog)
	}
	if n := len(containerStatus(pods[0], contract.ContainerRun).State.Terminated.Message); n != maxTermination {
		t.Errorf("a termination message of %d bytes, want %d", n, maxTermination)
	}
}

// TestTerminationMessageThatIsAPipe has the work leave a pipe, which nobody writes.
func TestTerminationMessageThatIsAPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, `rm -f "$TALLYMAN_TERMINATION_LOG"; mkfifo "$TALLYMAN_TERMINATION_LOG"; exit 0`).run()
	w.finished(1)
	_, pods := w.only()
	if message := containerStatus(pods[0], contract.ContainerRun).State.Terminated.Message; message != "" {
		t.Errorf("the termination message is %q", message)
	}
}

// TestOutputHeldOpen has the work leave a child that holds its output open: the attempt ends all the same,
// and the child with it.
func TestOutputHeldOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, `sleep 1000 & echo $! >"$FAKE/child"; exit 0`).run()
	w.finished(1)
	w.dead(w.onDisk("child"))
}

func TestProcessorThatCannotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Processor = filepath.Join(o.Dir, "missing") }, "exit 0").run()
	j := w.finished(1)[0] // and KEDA makes the next unit, for the message is still there
	pods := w.pods(j)
	state := containerStatus(pods[0], contract.ContainerClaim).State.Terminated
	if len(pods) != 3 || state == nil || state.Reason != "StartError" || state.ExitCode != 128 {
		t.Errorf("%d pods, claim %+v, status %+v", len(pods), state, j.Status)
	}
	if initialized(pods[0]) {
		t.Error("a pod whose claim cannot start is Initialized")
	}
}

// TestClaimThatFails keeps a unit pending for KEDA, so that it hides the message that it would take.
func TestClaimThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.BackoffScale = 100 }, "exit 0")
	if err := os.WriteFile(filepath.Join(w.dir, "claim.sh"), []byte("exit 75\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.until("the claim to fail", func() bool {
		if len(w.kube.Jobs()) != 1 {
			return false
		}
		_, pods := w.only()
		return len(pods) == 1 && podOver(pods[0])
	})
	if running, pending := w.kube.counts(&w.kube.o.Queues[0]); running != 1 || pending != 1 {
		t.Errorf("running %d, pending %d, want 1 and 1", running, pending)
	}
}

func TestBirth(t *testing.T) {
	t.Parallel()
	mine, err := birthOf(os.Getpid())
	if err != nil || mine == "" {
		t.Fatal(mine, err)
	}
	again, err := birthOf(os.Getpid())
	if err != nil || again != mine {
		t.Errorf("%q and then %q, %v", mine, again, err)
	}
}
