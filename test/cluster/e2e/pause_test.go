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

// KEDA's own annotation holds a queue: jobs are taken and wait, without a pod, until it goes.
func TestAPausedQueueMakesNoPodAndRunsAfterwards(t *testing.T) {
	t.Parallel()
	w := install(t)
	const scaledJob = "tallyman-queue-default"
	w.Kubectl("-n", w.namespace, "annotate", "scaledjob", scaledJob, "autoscaling.keda.sh/paused=true")
	w.Eventually(patience, "KEDA has paused it", func(ctx context.Context) error {
		got, err := w.Dynamic().Resource(scaledJobs).Namespace(w.namespace).Get(ctx, scaledJob, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return hasCondition(got, "Paused")
	})
	const jobs = 3
	ids := w.submitAll(jobs, quick())
	for _, id := range ids {
		w.becomes(id, "queued", patience)
	}
	w.Always(15*time.Second, "the jobs are queued, and there is no Kubernetes Job", func(ctx context.Context) error {
		units, err := w.units(ctx)
		if err != nil {
			return err
		}
		if len(units) > 0 {
			return fmt.Errorf("there is %s", units[0].Name)
		}
		return w.inState(ctx, "queued", jobs)
	})
	w.Kubectl("-n", w.namespace, "annotate", "scaledjob", scaledJob, "autoscaling.keda.sh/paused-")
	for _, id := range ids {
		w.becomes(id, "succeeded", long)
	}
	w.settles(patience, map[string]int{"succeeded": jobs})
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
