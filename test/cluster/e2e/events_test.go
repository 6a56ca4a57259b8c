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

// fact is one event of a job, as the stream holds it.
type fact struct {
	Kind, Source, Reason string
	Run, Attempt         int
}

// facts are what the stream holds of a job.
func (w *tallyman) facts(id string) (all []fact) {
	w.t.Helper()
	var said struct {
		Events []struct {
			Event struct {
				Source, Type string
				Data         struct {
					Run, Attempt int
					Reason       string
				}
			}
		}
	}
	if err := w.ask(w.t.Context(), "GET", "/jobs/"+id+"/events", nil, &said); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range said.Events {
		kind := strings.TrimSuffix(strings.TrimPrefix(e.Event.Type, "dev.tallyman.job."), ".v1")
		all = append(all, fact{kind, e.Event.Source, e.Event.Data.Reason, e.Event.Data.Run, e.Event.Data.Attempt})
	}
	return all
}

// saidOnce fails where the stream holds a fact of a job twice by one voice, and gives the voices of each kind of fact.
func (w *tallyman) saidOnce(id string) (voices map[string][]string) {
	w.t.Helper()
	seen := map[fact]bool{}
	voices = map[string][]string{}
	for _, f := range w.facts(id) {
		voices[f.Kind] = append(voices[f.Kind], f.Source)
		f.Reason = "" // the same voice with another reason says the same fact twice
		if seen[f] {
			w.t.Errorf("the stream holds twice: %+v", f)
		}
		seen[f] = true
	}
	return voices
}
