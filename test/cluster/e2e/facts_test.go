package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/test/cluster"
)

// own is a queue with an image of its own, the toolbox, and a type for each way to end; brief, one whose Kubernetes Jobs
// may take but a few seconds.
const own = `queues=[{"name":"own","image":"` + image + `","max":20,"grace":"2s",
	"resources":{"requests":{"cpu":"10m","memory":"16Mi"},"limits":{"memory":"128Mi"}},
	"types":[
		{"name":"well","command":["/toolbox","say","well"]},
		{"name":"one","command":["/toolbox","exit","1"]},
		{"name":"permanent","command":["/toolbox","exit","65"]},
		{"name":"eat","command":["/toolbox","eat"]},
		{"name":"wait","command":["/toolbox","wait"]}]},
	{"name":"brief","image":"` + image + `","deadline":"20s","grace":"2s",
	"resources":{"requests":{"cpu":"10m","memory":"16Mi"}},
	"types":[{"name":"wait","command":["/toolbox","wait"]}]}]`

func ownInstall(t *testing.T) *tallyman {
	t.Helper()
	w := install(t, own)
	toolbox(w.Cluster)
	return w
}

func ownJob(kind string) post { return post{Queue: "own", Type: kind, Payload: map[string]any{}} }

// Each way of a work to end has its reason and its attempts, and each of them is said once by whoever saw it.
func TestEveryEndingHasItsReason(t *testing.T) {
	t.Parallel()
	w := ownInstall(t)
	timed := ownJob("wait")
	timed.Timeout = 2
	type voices map[string]string // the reason that each source gives
	for _, want := range []struct {
		job      post
		attempts int
		reason   string // of each attempt, and of the run; "" where it succeeds
		by       voices // who says how an attempt ended
		perhaps  voices // who says it where it outlives its work
	}{
		{ownJob("well"), 1, "", voices{"processor": ""}, nil},
		{ownJob("one"), 3, "AppExit", voices{"processor": "AppExit", "bridge": "AppExit"}, nil},
		{ownJob("permanent"), 1, "AppError", voices{"processor": "AppError", "bridge": "AppError"}, nil},
		// Who has no memory left is killed alone, or (control groups v2) with the processor beside it.
		{ownJob("eat"), 3, "OOMKilled", voices{"bridge": "OOMKilled"}, voices{"processor": "AppExit"}},
		{timed, 3, "Timeout", voices{"processor": "Timeout", "bridge": "Timeout"}, nil},
		{post{Queue: "brief", Type: "wait", Payload: map[string]any{}}, 1, "DeadlineExceeded", voices{"bridge": "DeadlineExceeded"}, nil},
	} {
		t.Run(want.job.Queue+" "+want.job.Type+" "+want.reason, func(t *testing.T) {
			t.Parallel()
			state, kind := "failed", "attempt-failed"
			if want.reason == "" {
				state, kind = "succeeded", "succeeded"
			}
			id := w.submit(want.job)
			j := w.becomes(id, state, 2*long)
			if !slices.Equal(j.Runs, []jobRun{{1, state, want.reason}}) {
				t.Errorf("its runs are %+v", j.Runs)
			}
			if len(j.Attempts) != want.attempts {
				t.Errorf("it has %d attempts, want %d: %+v", len(j.Attempts), want.attempts, j.Attempts)
			}
			for i, a := range j.Attempts {
				if a.Ending != state || a.Reason != want.reason {
					t.Errorf("attempt %d %s by %q, want %s by %q", a.Attempt, a.Ending, a.Reason, state, want.reason)
				}
				w.isSaid(t, id, kind, i+1, want.by, want.perhaps)
			}
			if by := w.saidOnce(id)["failed"]; state == "failed" && len(by) != 1 {
				t.Errorf("that it failed was said by %v", by)
			}
		})
	}
}

// isSaid waits until an attempt's fact was said by each of these voices, the bridge's may come after the job's end, and
// fails where another voice says it, or one of them with another reason.
func (w *tallyman) isSaid(t *testing.T, id, kind string, attempt int, by, perhaps map[string]string) {
	t.Helper()
	var said map[string]string
	w.Eventually(patience, fmt.Sprintf("%s of attempt %d of %s was said by %v", kind, attempt, id, by), func(context.Context) error {
		said = map[string]string{}
		for _, f := range w.facts(id) {
			if f.Kind == kind && f.Attempt == attempt {
				said[f.Source] = f.Reason
			}
		}
		for source := range by {
			if _, heard := said[source]; !heard {
				return fmt.Errorf("it was said by %v", said)
			}
		}
		return nil
	})
	for source, reason := range said {
		wanted, must := by[source]
		if !must {
			may := false
			if wanted, may = perhaps[source]; !may {
				t.Errorf("%s of attempt %d was said by %s too, by %q", kind, attempt, source, reason)
				continue
			}
		}
		if reason != wanted {
			t.Errorf("%s of attempt %d was said by %s by %q, want %q", kind, attempt, source, reason, wanted)
		}
	}
}

// running waits until a job's attempt n is under way, and gives its pod.
func (w *tallyman) running(id string, n int) (pod corev1.Pod) {
	w.t.Helper()
	w.Eventually(long, fmt.Sprintf("attempt %d of %s runs", n, id), func(ctx context.Context) error {
		j, err := w.job(ctx, id)
		if err != nil {
			return err
		}
		if j.State != "running" || len(j.Attempts) != n {
			return fmt.Errorf("it is %s: %+v", j.State, j.Attempts)
		}
		pods, err := w.pods(ctx)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
				pod = p
				return nil
			}
		}
		return fmt.Errorf("no pod of %d runs", len(pods))
	})
	return pod
}

// An eviction spends no retry, and is said as what it is.
func TestAnEvictedAttemptSpendsNoRetry(t *testing.T) {
	t.Parallel()
	w := ownInstall(t)
	id := w.submit(ownJob("wait"))
	pod := w.running(id, 1)
	err := w.Client().CoreV1().Pods(w.namespace).EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}})
	if err != nil {
		t.Fatal(err)
	}
	w.running(id, 2)
	j, err := w.job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if first := j.Attempts[0]; first.Ending != "disrupted" || first.Reason != "Evicted" {
		t.Errorf("the first attempt is %+v", first)
	}
	said := w.saidOnce(id)
	if voices := said["attempt-disrupted"]; len(voices) != 1 {
		t.Errorf("the eviction was said by %v", voices)
	}
	if voices := said["attempt-failed"]; len(voices) != 0 {
		t.Errorf("that the attempt failed was said by %v", voices)
	}
	unit, err := w.Client().BatchV1().Jobs(w.namespace).Get(t.Context(), w.unitOf(id), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if unit.Status.Failed != 0 {
		t.Errorf("Kubernetes has counted %d failures", unit.Status.Failed)
	}
	if s := w.stats(); s.FailedJob != 0 || s.JobRetry != 0 {
		t.Errorf("the books say %+v", s)
	}
	w.cancel(id)
}

// cancel asks for a running job's end, and waits for it: its Kubernetes Job ends with it, by the rule for exit code 86,
// and makes no other pod.
func (w *tallyman) cancel(id string) {
	w.t.Helper()
	unit := w.unitOf(id)
	before := w.podsOf(unit)
	if err := w.ask(w.t.Context(), "DELETE", "/jobs/"+id, nil, nil); err != nil {
		w.t.Fatal(err)
	}
	w.becomes(id, "cancelled", long)
	w.Eventually(patience, "Kubernetes Job "+unit+" has failed by its policy", func(ctx context.Context) error {
		have, err := w.Client().BatchV1().Jobs(w.namespace).Get(ctx, unit, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range have.Status.Conditions {
			if c.Type != batchv1.JobFailed || c.Status != corev1.ConditionTrue {
				continue
			}
			if c.Reason == batchv1.JobReasonPodFailurePolicy && strings.Contains(c.Message, "exit code 86") {
				return nil
			}
			return fmt.Errorf("%w: %s: %s", cluster.ErrNever, c.Reason, c.Message)
		}
		return fmt.Errorf("it is %+v", have.Status)
	})
	// Kubernetes waits 10 s before the pod after the first that failed, and twice as long before the next.
	w.Always(15*time.Second, "no other pod is made for "+unit, func(context.Context) error {
		for _, name := range w.podsOf(unit) {
			if !slices.Contains(before, name) {
				return fmt.Errorf("there is %s beside %v", name, before)
			}
		}
		return nil
	})
}

// podsOf are the names of a Kubernetes Job's pods.
func (w *tallyman) podsOf(unit string) (names []string) {
	w.t.Helper()
	w.Eventually(patience, "the pods of "+unit+" are listed", func(ctx context.Context) error {
		list, err := w.Client().CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + unit})
		if err != nil {
			return err
		}
		names = nil
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return nil
	})
	return names
}

// A pod that somebody deletes is an attempt that failed; the next one goes on.
func TestADeletedPodIsAnAttempt(t *testing.T) {
	t.Parallel()
	w := ownInstall(t)
	id := w.submit(ownJob("wait"))
	pod := w.running(id, 1)
	if err := w.Client().CoreV1().Pods(w.namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.running(id, 2)
	j, err := w.job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if first := j.Attempts[0]; first.Ending != "failed" || first.Reason != "Deleted" {
		t.Errorf("the first attempt is %+v", first)
	}
	w.isSaid(t, id, "attempt-failed", 1, map[string]string{"bridge": "Deleted"}, nil)
	w.cancel(id)
}

// What ends and goes while no bridge looks is judged by the next one: a Kubernetes Job that it had seen is deleted, one
// that it never saw is made and deleted, others are made and fail, one of them by what Kubernetes alone knows. One that
// went well is gone, too, and stays what its processor said; one that failed can be asked for again when it is gone.
func TestWhatHappensWhileTheBridgeIsAway(t *testing.T) {
	t.Parallel()
	w := ownInstall(t)
	seen := w.submit(ownJob("wait"))
	w.running(seen, 1)
	w.Kubectl("-n", w.namespace, "scale", "deployment", "tallyman-bridge", "--replicas", "0")
	w.Kubectl("-n", w.namespace, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=bridge", "--timeout", "60s")
	w.deleteUnit(seen)
	unseen := w.submit(ownJob("wait"))
	w.running(unseen, 1)
	w.deleteUnit(unseen)
	well := w.submit(ownJob("well"))
	w.becomes(well, "succeeded", long)
	done := w.allDone(patience)
	if len(done) != 1 || outcome(&done[0]) != "succeeded" {
		t.Fatalf("there are %+v", done)
	}
	w.deleteJob(done[0].Name)
	fails, eats, permanent := w.submit(ownJob("one")), w.submit(ownJob("eat")), w.submit(ownJob("permanent"))
	late := w.submit(post{Queue: "brief", Type: "wait", Payload: map[string]any{}})
	w.Eventually(long, "their Kubernetes Jobs are made and fail", func(ctx context.Context) error {
		units, err := w.units(ctx)
		if err == nil && (len(units) != 4 || slices.ContainsFunc(units, func(u batchv1.Job) bool { return outcome(&u) != "failed" })) {
			err = fmt.Errorf("there are %+v", units)
		}
		return err
	})
	w.record(map[string]string{fails: "exit1", eats: "oom", permanent: "exit65", late: "deadline"})
	for _, id := range []string{seen, unseen} {
		if j, err := w.job(t.Context(), id); err != nil || j.State != "running" {
			t.Errorf("while no bridge looks, job %s whose Kubernetes Job is gone is %s: %v", id, j.State, err)
		}
	}
	w.Kubectl("-n", w.namespace, "scale", "deployment", "tallyman-bridge", "--replicas", "1")
	w.judged(seen, 1, "Deleted")
	w.judged(unseen, 1, "Deleted")
	w.judged(fails, 3, "AppExit")
	w.judged(eats, 3, "OOMKilled")
	w.judged(late, 1, "DeadlineExceeded")
	s := w.settles(patience, map[string]int{"failed": 6, "succeeded": 1})
	if !maps.Equal(s.Failures, map[string]int{"Deleted": 2, "AppExit": 3, "OOMKilled": 3, "AppError": 1, "DeadlineExceeded": 1}) {
		t.Errorf("the books say %+v", s)
	}
	if voices := w.saidOnce(permanent)["failed"]; !slices.Equal(voices, []string{"processor"}) {
		t.Errorf("that %s failed for good, which its processor knows, was said by %v", permanent, voices)
	}
	w.verified()
	// By now the bridge has judged every claim, also that of what went well.
	j := w.becomes(well, "succeeded", patience)
	if voices := w.saidOnce(well)["succeeded"]; !slices.Equal(voices, []string{"processor"}) || len(j.Attempts) != 1 || j.Attempts[0].Ending != "succeeded" {
		t.Errorf("what went well is %+v, said by %v", j, voices)
	}
	// What Kubernetes has forgotten can run again: its task is in the claim.
	w.deleteUnit(permanent)
	if err := w.ask(t.Context(), "POST", "/jobs/"+permanent+"/requeue", map[string]int{"run": 1}, nil); err != nil {
		t.Fatal(err)
	}
	w.Eventually(long, "it has failed again", func(ctx context.Context) error {
		j, err := w.job(ctx, permanent)
		if again := []jobRun{{1, "failed", "AppError"}, {2, "failed", "AppError"}}; err == nil && !slices.Equal(j.Runs, again) {
			err = fmt.Errorf("its runs are %+v", j.Runs)
		}
		return err
	})
}

// judged waits until a job has failed, and looks that its run and each of its attempts failed for this reason.
func (w *tallyman) judged(id string, attempts int, reason string) {
	w.t.Helper()
	j := w.becomes(id, "failed", long)
	if !slices.Equal(j.Runs, []jobRun{{1, "failed", reason}}) || len(j.Attempts) != attempts {
		w.t.Errorf("job %s was to fail in %d attempts by %s: %+v", id, attempts, reason, j)
	}
	for _, a := range j.Attempts {
		if a.Ending != "failed" || a.Reason != reason {
			w.t.Errorf("attempt %d of %s %s by %q, want failed by %s", a.Attempt, id, a.Ending, a.Reason, reason)
		}
	}
	if voices := w.saidOnce(id)["failed"]; !slices.Equal(voices, []string{"bridge"}) {
		w.t.Errorf("that %s failed was said by %v", id, voices)
	}
}

// While an image cannot be pulled, a Secret is missing or no node fits, every message stays in SQS.
func TestNothingLeavesTheQueueBeforeItsPodCanRun(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"bad tag":        `queues=[{"name":"own","image":"localhost:5000/toolbox:gone","types":[{"name":"well","command":["/toolbox","say","well"]}]}]`,
		"missing Secret": `queues=[{"name":"own","image":"` + image + `","envFrom":[{"secretRef":{"name":"absent"}}],"types":[{"name":"well","command":["/toolbox","say","well"]}]}]`,
		"no node":        `queues=[{"name":"own","image":"` + image + `","nodeSelector":{"disk":"none"},"types":[{"name":"well","command":["/toolbox","say","well"]}]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := install(t, broken)
			toolbox(w.Cluster)
			id := w.submit(ownJob("well"))
			if name != "missing Secret" { // KEDA reads the Secret itself, and makes no pod without it
				w.Eventually(long, "a pod waits", func(ctx context.Context) error {
					pods, err := w.pods(ctx)
					if err == nil && len(pods) == 0 {
						err = fmt.Errorf("there is none")
					}
					return err
				})
			}
			w.becomes(id, "queued", patience)
			w.keeps("own", []string{id})
			if name == "missing Secret" { // and when it is mended, the job runs
				x := w.comesTo(id, "keda-not-ready", "absent")
				w.Kubectl("-n", w.namespace, "create", "secret", "generic", "absent", "--from-literal=A=b")
				w.does(x.Next[len(x.Next)-1]) // by itself KEDA may look for it minutes later
				w.becomes(id, "succeeded", long)
			}
		})
	}
}
