package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// KEDA's own annotation holds a queue: what runs goes on, and jobs are taken and wait, without a Kubernetes Job, until it
// goes; also where the chart is upgraded in between.
func TestAPausedQueueMakesNoPodAndRunsAfterwards(t *testing.T) {
	t.Parallel()
	w := install(t)
	const scaledJob = "tallyman-queue-default"
	running := w.submit(processData(map[string]any{"records": 100, "pauseMs": 45_000, "failureRate": 0}))
	w.becomes(running, "running", long)
	w.Kubectl("-n", w.namespace, "annotate", "scaledjob", scaledJob, "autoscaling.keda.sh/paused=true")
	w.scaledJobIs(scaledJob, "Paused")
	const jobs = 3
	ids := w.submitAll(jobs, quick())
	for _, id := range ids {
		w.becomes(id, "queued", patience)
	}
	if err := w.inState(t.Context(), "running", 1); err != nil {
		t.Fatal("the pause took longer than the job, or ended it: ", err)
	}
	w.waits(jobs)
	w.Helm(w.helmArgs("upgrade", `processor.log="info"`)...)
	log := w.Kubectl("-n", w.namespace, "get", "scaledjob", scaledJob, "--output",
		`jsonpath={.spec.jobTargetRef.template.spec.containers[0].env[?(@.name=="TALLYMAN_LOG")].value}`)
	if log != "info" {
		t.Errorf("the upgrade changed nothing of the ScaledJob: its log is %q", log)
	}
	if j := w.becomes(running, "succeeded", long); len(j.Attempts) != 1 {
		t.Errorf("what ran when the queue was paused has the attempts %+v", j.Attempts)
	}
	w.scaledJobIs(scaledJob, "Paused")
	w.waits(jobs)
	w.Kubectl("-n", w.namespace, "annotate", "scaledjob", scaledJob, "autoscaling.keda.sh/paused-")
	for _, id := range ids {
		w.becomes(id, "succeeded", long)
	}
	w.settles(patience, map[string]int{"succeeded": jobs + 1})
}

// waits looks for a while at a queue that is paused: so many jobs are queued, and the one Kubernetes Job there is was
// made before.
func (w *tallyman) waits(jobs int) {
	w.t.Helper()
	w.Always(15*time.Second, "the jobs are queued, and there is no Kubernetes Job of them", func(ctx context.Context) error {
		units, err := w.units(ctx)
		if err != nil {
			return err
		}
		if len(units) != 1 {
			return fmt.Errorf("there are %d", len(units))
		}
		return w.inState(ctx, "queued", jobs)
	})
}

// scaledJobIs waits until KEDA says so of a ScaledJob.
func (w *tallyman) scaledJobIs(name, condition string) {
	w.t.Helper()
	w.Eventually(patience, name+" is "+condition, func(ctx context.Context) error {
		got, err := w.Dynamic().Resource(scaledJobs).Namespace(w.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return hasCondition(got, condition)
	})
}

// hasCondition is nil where an object's condition is true.
func hasCondition(object *unstructured.Unstructured, kind string) error {
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == kind && m["status"] == "True" {
			return nil
		}
	}
	return errors.Join(err, fmt.Errorf("its conditions are %v", conditions))
}
