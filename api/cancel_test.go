package api

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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

// A requeue is known to the records before it is to the books: a cancel that comes in between stops the new run.
func TestCancelFollowsARequeue(t *testing.T) {
	t.Parallel()
	for _, state := range []contract.State{contract.StateSucceeded, contract.StateCancelled} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.submit("", contract.StateQueued)
			record, last := contract.RunRecord{Owner: "unit-1"}, contract.Event{Kind: contract.Succeeded, Attempt: 1}
			if state == contract.StateCancelled {
				last = contract.Event{Kind: contract.CancelledKind, Reason: contract.Cancelled}
				record = contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: contract.At(time.Now())}
			}
			w.record(id, record)
			w.say(id, last)
			w.await(id, state)
			before := w.revision(id)
			w.do("DELETE", "/jobs/"+id, "").want(409)
			if w.revision(id) != before {
				t.Error("the record of a run that has ended was written")
			}
			record.Next = contract.Next{Set: true, Run: 2} // as a requeue begins
			w.record(id, record)
			var c cancelled
			w.do("DELETE", "/jobs/"+id, "").want(202).into(&c)
			if c != (cancelled{JobID: id, Run: 2, State: contract.StateCancelled}) {
				t.Errorf("%+v", c)
			}
			w.eventually("the second run's end", func() bool { return len(w.await(id, contract.StateCancelled).Runs) == 2 })
			w.do("DELETE", "/jobs/"+id, "").want(409)
		})
	}
}

// A record that nobody can read is named, also where its job has ended.
func TestCancelOfAnEndedJobWhoseRecordCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	w.say(id, contract.Event{Kind: contract.Succeeded, Attempt: 1})
	w.await(id, contract.StateSucceeded)
	w.do("DELETE", "/jobs/"+id, "").want(409) // without a record, too
	key := contract.RunKey("default", id, 1)
	if _, err := w.claims.Put(t.Context(), key, []byte(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "DELETE", w.url+"/jobs/"+id, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req) // a 500 is described for all operations at once, which w.do does not know
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 500 || !strings.Contains(string(body), key) {
		t.Errorf("%d %s, %v", res.StatusCode, body, err)
	}
}

// record writes the record of a job's first run.
func (w *world) record(id string, r contract.RunRecord) {
	w.t.Helper()
	b, err := r.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.claims.Put(w.t.Context(), contract.RunKey("default", id, 1), b); err != nil {
		w.t.Fatal(err)
	}
}

// revision is of the record of a job's first run.
func (w *world) revision(id string) uint64 {
	w.t.Helper()
	e, err := w.claims.Get(w.t.Context(), contract.RunKey("default", id, 1))
	if err != nil {
		w.t.Fatal(err)
	}
	return e.Revision
}
