package e2e

import (
	"strings"
	"testing"
)

// A container that is killed is an attempt that failed, and only Kubernetes saw it.
func TestAKilledContainerIsAnAttempt(t *testing.T) {
	t.Parallel()
	w := ownInstall(t)
	id := w.submit(ownJob("wait"))
	pod := w.running(id, 1)
	w.KillContainer(w.namespace, pod.Name, "run")
	w.running(id, 2)
	j, err := w.job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if a := j.Attempts[0]; a.Ending != "failed" || a.Reason != "AppExit" || a.ExitCode == nil || *a.ExitCode != 137 {
		t.Errorf("the killed attempt is %+v", a)
	}
	if voices := w.saidOnce(id)["attempt-failed"]; len(voices) != 1 || voices[0] != "bridge" {
		t.Errorf("its end was said by %v", voices)
	}
	w.cancel(id)
}

// saidOnce fails where the stream holds a fact of a job twice by one voice, and gives the voices of each kind of fact.
func (w *tallyman) saidOnce(id string) (voices map[string][]string) {
	w.t.Helper()
	var said struct {
		Events []struct {
			Event struct{ ID, Source, Type string }
		}
	}
	if err := w.ask(w.t.Context(), "GET", "/jobs/"+id+"/events", nil, &said); err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]bool{}
	voices = map[string][]string{}
	for _, e := range said.Events {
		voice := e.Event.ID + " by " + e.Event.Source
		if seen[voice] {
			w.t.Errorf("the stream holds twice: %s", voice)
		}
		seen[voice] = true
		kind := strings.TrimSuffix(strings.TrimPrefix(e.Event.Type, "dev.tallyman.job."), ".v1")
		voices[kind] = append(voices[kind], e.Event.Source)
	}
	return voices
}
