package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Another image of the processor is for the jobs to come: those that run end in the one they began with.
func TestAnUpgradeOfTheProcessorKillsNoJob(t *testing.T) {
	t.Parallel()
	w := install(t)
	const running, more = 3, 3
	// Each pauses three times, in all for longer than an upgrade takes on a machine that has much else to do.
	older := w.submitAll(running, processData(map[string]any{"records": 300, "pauseMs": 40_000, "failureRate": 0}))
	w.Eventually(long, "all of them run", func(ctx context.Context) error { return w.inState(ctx, "running", running) })
	before, err := w.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	tag, digest := w.Variant("processor", "next")
	w.Helm(w.helmArgs("upgrade", fmt.Sprintf(`processor.image={"registry":%q,"repository":"tallyman/processor","tag":%q}`, w.Registry(), tag))...)
	if err := w.inState(t.Context(), "running", running); err != nil {
		t.Fatal("the upgrade took longer than the jobs, or ended them: ", err)
	}
	newer := w.submitAll(more, quick())
	for _, id := range append(older, newer...) {
		if j := w.becomes(id, "succeeded", long); len(j.Attempts) != 1 {
			t.Errorf("job %s has the attempts %+v", id, j.Attempts)
		}
	}
	w.settles(patience, map[string]int{"succeeded": running + more})

	all, err := w.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := map[string]bool{}
	for i := range before {
		old[before[i].Name] = true
	}
	if len(all) != running+more {
		t.Errorf("there are %d pods, want %d", len(all), running+more)
	}
	for i := range all {
		if is := runs(&all[i], digest); is == old[all[i].Name] {
			t.Errorf("pod %s, made before the upgrade: %v, runs the newer image: %v", all[i].Name, old[all[i].Name], is)
		}
	}
}

// inState is nil where so many jobs are in a state.
func (w *tallyman) inState(ctx context.Context, state string, n int) error {
	var s stats
	if err := w.ask(ctx, "GET", "/jobs/stats", nil, &s); err != nil {
		return err
	}
	if s.Jobs[state] != n {
		return fmt.Errorf("%+v", s)
	}
	return nil
}

// runs tells whether a pod's work was done in the image of this digest.
func runs(pod *corev1.Pod, digest string) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == "run" {
			return strings.HasSuffix(c.ImageID, digest)
		}
	}
	return false
}
