package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
)

// deletable are a queue that asks for another run of what is lost, and one that does not. Their work waits to be
// deleted, but for the third run of a job, which ends well.
const deletable = `queues=[{"name":"again","onLost":"rerun","image":"` + image + `","grace":"2s",
	"resources":{"requests":{"cpu":"10m","memory":"16Mi"}},
	"types":[{"name":"third","command":["/toolbox","wait","3"]}]},
	{"name":"once","image":"` + image + `","grace":"2s",
	"resources":{"requests":{"cpu":"10m","memory":"16Mi"}},
	"types":[{"name":"third","command":["/toolbox","wait","3"]}]}]`

// A Kubernetes Job that somebody deletes takes its job's run with it, and the books say so. Where the queue asks for
// it, whoever leads the schedulers makes another run, also where nobody led at that time; otherwise the job stays
// failed.
func TestADeletedKubernetesJobRunsAgainWhereItsQueueAsks(t *testing.T) {
	t.Parallel()
	w := install(t, deletable)
	toolbox(w.Cluster)
	again := w.submit(post{Queue: "again", Type: "third", Payload: map[string]any{}})
	once := w.submit(post{Queue: "once", Type: "third", Payload: map[string]any{}})
	w.running(again, 1)
	w.running(once, 1)
	w.deleteUnit(again)
	w.deleteUnit(once)
	w.comesTo(once, "failed-deleted", "somebody deleted")
	w.running(again, 2)

	w.Kubectl("-n", w.namespace, "scale", "deployment", "tallyman-scheduler", "--replicas=0")
	w.Kubectl("-n", w.namespace, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=scheduler", "--timeout=60s")
	w.deleteUnit(again)
	w.comesTo(again, "rerun-due", "somebody deleted", "run 3 begins by itself", "recovery 2 of at most 3 in a row")
	j, err := w.job(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if want := (rerun{Run: 3, Source: "recovery", Number: 2, Most: 3}); j.State != "failed" || j.Rerun == nil || *j.Rerun != want {
		t.Errorf("while nobody leads it is %s, and what comes is %+v", j.State, j.Rerun)
	}
	w.Kubectl("-n", w.namespace, "scale", "deployment", "tallyman-scheduler", "--replicas=1")
	x := w.comesTo(again, "succeeded")
	w.recovered(again, x)
	w.staysFailed(once)

	s := w.settles(patience, map[string]int{"succeeded": 1, "failed": 1})
	if s.SucceedJob != 1 || s.FailedJob != 3 || s.JobRetry != 0 || s.Failures["Deleted"] != 3 || len(s.Failures) != 1 {
		t.Errorf("the books say %+v", s)
	}
	w.verified()
}

// recovered is a job of which two runs were deleted and the third succeeded: each in a unit of its own, and each
// begun and ended once.
func (w *tallyman) recovered(id string, x contract.Explanation) {
	w.t.Helper()
	j, err := w.job(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if want := []jobRun{{1, "failed", "Deleted"}, {2, "failed", "Deleted"}, {3, "succeeded", ""}}; !slices.Equal(j.Runs, want) {
		w.t.Errorf("its runs are %+v", j.Runs)
	}
	if j.State != "succeeded" || j.Source != "recovery" || j.Rerun != nil {
		w.t.Errorf("it is %s, its newest run was made by %s, and what comes is %+v", j.State, j.Source, j.Rerun)
	}
	units := map[string]bool{}
	for i, a := range j.Attempts {
		if units[a.Unit] = true; a.Run != i+1 || a.Attempt != 1 {
			w.t.Errorf("attempt %d of run %d stands at %d", a.Attempt, a.Run, i)
		}
	}
	if len(j.Attempts) != 3 || len(units) != 3 {
		w.t.Errorf("3 runs had %d units: %+v", len(units), j.Attempts)
	}
	var reasons []contract.Reason
	for _, a := range x.Attempts {
		reasons = append(reasons, a.Reason)
	}
	if !slices.Equal(reasons, []contract.Reason{contract.Deleted, contract.Deleted, ""}) {
		w.t.Errorf("explained are attempts that failed by %q", reasons)
	}
	voices := w.saidOnce(id)
	for kind, want := range map[string][]string{
		"submitted": {"api", "scheduler", "scheduler"}, "attempt-failed": {"bridge", "bridge"},
		"failed": {"bridge", "bridge"}, "succeeded": {"processor"},
	} {
		if !slices.Equal(voices[kind], want) {
			w.t.Errorf("%s was said by %v, want %v", kind, voices[kind], want)
		}
	}
}

// staysFailed is a job whose one run was deleted, and that gets no other.
func (w *tallyman) staysFailed(id string) {
	w.t.Helper()
	j, err := w.job(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if j.State != "failed" || j.Rerun != nil || !slices.Equal(j.Runs, []jobRun{{1, "failed", "Deleted"}}) {
		w.t.Errorf("without onLost it is %+v", j)
	}
	if len(j.Attempts) != 1 || j.Attempts[0].Ending != "failed" || j.Attempts[0].Reason != "Deleted" {
		w.t.Errorf("without onLost its attempts are %+v", j.Attempts)
	}
	w.saidOnce(id)
}

// deleteUnit deletes the Kubernetes Job that owns a job's newest run.
func (w *tallyman) deleteUnit(id string) {
	w.t.Helper()
	w.deleteJob(w.unitOf(id))
}

// deleteJob deletes a Kubernetes Job, as a person would, and waits until it is gone and its pod with it.
func (w *tallyman) deleteJob(unit string) {
	w.t.Helper()
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &background}
	if err := w.Client().BatchV1().Jobs(w.namespace).Delete(w.t.Context(), unit, options); err != nil {
		w.t.Fatal(err)
	}
	w.Eventually(patience, "Kubernetes Job "+unit+" is gone, and has no pod", func(ctx context.Context) error {
		if _, err := w.Client().BatchV1().Jobs(w.namespace).Get(ctx, unit, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there, or nobody knows: %w", err)
		}
		pods, err := w.pods(ctx)
		if err != nil {
			return err
		}
		of := func(p corev1.Pod) bool { return p.Labels["batch.kubernetes.io/job-name"] == unit }
		if i := slices.IndexFunc(pods, of); i >= 0 {
			return fmt.Errorf("there is %s", pods[i].Name)
		}
		return nil
	})
}
