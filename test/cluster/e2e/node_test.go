package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stays lets the components bide on a node that does not answer, as if they were on another one: here there is but one.
const stays = `[{"key":"node.kubernetes.io/unreachable","operator":"Exists"},{"key":"node.kubernetes.io/not-ready","operator":"Exists"}]`

// A node that is away for a while costs an attempt and no retry. One that stays away ends the job, since nobody can tell
// whether its pod still works; and when it comes back, nothing is done twice.
func TestANodeThatDoesNotAnswer(t *testing.T) {
	sets := []string{own}
	for _, component := range []string{"api", "scheduler", "bridge", "aggregator", "nats", "sqs"} {
		sets = append(sets, component+".tolerations="+stays)
	}
	w := install(t, sets...)
	toolbox(w.Cluster)
	w.askThePod("api") // a Service has no endpoint on a node that is not Ready
	id := w.submit(ownJob("wait"))
	first := w.running(id, 1)

	w.Kill("kubelet")
	w.evicted(first.Name)
	w.Start("kubelet")
	second := w.running(id, 2)
	j, err := w.job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if a := j.Attempts[0]; a.Ending != "disrupted" || a.Reason != "NodeLost" {
		t.Errorf("the attempt on a node that came back is %+v", a)
	}

	w.Kill("kubelet")
	w.evicted(second.Name)
	j = w.becomes(id, "failed", 2*long)
	if r := j.Runs[0]; r.Reason != "NodeLost" {
		t.Errorf("the run on a node that stayed away: %+v", j)
	}
	w.Start("kubelet")
	for _, u := range w.allDone(long) {
		if got := outcome(&u); got != "failed" {
			t.Errorf("afterwards its Kubernetes Job is %s", got)
		}
	}
	w.becomes(w.submit(ownJob("well")), "succeeded", long)
	w.settles(patience, map[string]int{"failed": 1, "succeeded": 1})
}

// evicted waits until Kubernetes has asked for a pod's end.
func (w *tallyman) evicted(name string) {
	w.t.Helper()
	w.Eventually(2*time.Minute, "pod "+name+" is to go", func(ctx context.Context) error {
		pod, err := w.Client().CoreV1().Pods(w.namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && pod.DeletionTimestamp == nil {
			err = errors.New("nobody has deleted it")
		}
		return err
	})
}

// askThePod asks the api's one pod from now on, and not its Service.
func (w *tallyman) askThePod(component string) {
	w.t.Helper()
	w.api = "http://" + w.podOf(component).Status.PodIP + ":8080"
}

// podOf is the newest pod of a component that is not going.
func (w *tallyman) podOf(component string) (newest corev1.Pod) {
	w.t.Helper()
	w.Eventually(patience, "there is a pod of "+component, func(ctx context.Context) error {
		list, err := w.Client().CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{
			LabelSelector: "app.kubernetes.io/component=" + component,
		})
		if err != nil {
			return err
		}
		for _, p := range list.Items {
			if p.DeletionTimestamp == nil && p.Status.PodIP != "" && !p.CreationTimestamp.Before(&newest.CreationTimestamp) {
				newest = p
			}
		}
		if newest.Name == "" {
			return fmt.Errorf("none of %d", len(list.Items))
		}
		return nil
	})
	return newest
}
