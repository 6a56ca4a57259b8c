package api

import (
	"strings"
	"testing"

	"tallyman/contract"
)

func TestCancelQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	var c cancelled
	w.do("DELETE", "/jobs/"+id, "").want(202).into(&c)
	if c != (cancelled{JobID: id, Run: 1, State: contract.StateCancelled}) {
		t.Errorf("%+v", c)
	}
	w.await(id, contract.StateCancelled)
	if p := w.do("DELETE", "/jobs/"+id, "").want(409).problem(); p.Code != contract.CodeConflict || !strings.Contains(p.Detail, "was cancelled") {
		t.Errorf("%+v", p)
	}
	e, err := w.claims.Get(t.Context(), contract.RunKey("default", id, 1))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := contract.DecodeRun(e.Value); err != nil || !r.Tombstone || r.Outcome != contract.OutcomeCancelled {
		t.Errorf("%+v, %v", r, err)
	}
}

// own makes the records that a claim makes.
func (w *world) own(id string) {
	w.t.Helper()
	tasks := w.messages()
	task := tasks[len(tasks)-1]
	body, err := task.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	u := contract.UnitRecord{
		State: contract.Owned, Unit: "unit-1", Queue: task.Queue, JobID: id, Run: task.Run, Type: task.Type,
		SubmittedAt: task.SubmittedAt, Task: body, Attempts: []string{"pod-1"},
	}
	run := contract.RunRecord{Owner: "unit-1"}
	for key, encode := range map[string]func() ([]byte, error){
		contract.UnitKey(task.Queue, "unit-1"): u.Encode, contract.RunKey(task.Queue, id, task.Run): run.Encode,
	} {
		b, err := encode()
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.claims.Put(w.t.Context(), key, b); err != nil {
			w.t.Fatal(err)
		}
	}
	w.say(id, contract.Event{Kind: contract.Claimed, Run: task.Run, Attempt: 1})
	w.await(id, contract.StateRunning)
}

func TestCancelRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.own(id)
	for range 2 {
		var c cancelled
		w.do("DELETE", "/jobs/"+id, "").want(202).into(&c)
		if c != (cancelled{JobID: id, Run: 1, State: contract.StateRunning, CancelRequested: true}) {
			t.Errorf("%+v", c)
		}
	}
	e, err := w.claims.Get(t.Context(), contract.UnitKey("default", "unit-1"))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := contract.DecodeUnit(e.Value); err != nil || !u.CancelRequested {
		t.Errorf("%+v, %v", u, err)
	}
	w.say(id, contract.Event{Kind: contract.Succeeded, Attempt: 1})
	w.await(id, contract.StateSucceeded)
	w.do("DELETE", "/jobs/"+id, "").want(409)
}
