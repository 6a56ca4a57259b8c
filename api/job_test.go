package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// failed brings a job to its end: one failed attempt with words, then the run's failure.
func (w *world) failed() string {
	w.t.Helper()
	id := w.submit("", contract.StateQueued)
	exit := 3
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	w.say(id, contract.Event{Kind: contract.Started, Attempt: 1})
	w.say(id, contract.Event{
		Kind: contract.AttemptFailed, Attempt: 1, Reason: contract.AppExit, ExitCode: &exit, Message: "it said no",
		Tail: "line 1\nline 2\n", DurationMS: 12, Unit: "unit-1", Pod: "pod-uid", PodName: "pod-1", Node: "node-1",
	})
	w.say(id, contract.Event{Kind: contract.Failed, Source: contract.SourceBridge, Reason: contract.AppExit})
	w.await(id, contract.StateFailed)
	return id
}

func TestJobTellsWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.failed()
	var v view
	w.get("/jobs/" + id).want(200).into(&v)
	if v.Reason != contract.AppExit || v.Message != "it said no" || len(v.Attempts) != 1 || v.Incomplete {
		t.Fatalf("%+v", v)
	}
	a := v.Attempts[0]
	if a.Run != 1 || a.Attempt != 1 || a.Ending != contract.EndingFailed || *a.ExitCode != 3 || a.Message != "it said no" ||
		a.Tail != "line 1\nline 2\n" || a.DurationMS != 12 || a.PodName != "pod-1" || a.Node != "node-1" || a.StartedAt.IsZero() {
		t.Errorf("attempt %+v", a)
	}
	var page jobPage
	w.get("/jobs").into(&page)
	if s := page.Jobs[0]; s.Message != "it said no" || s.Reason != contract.AppExit || s.StartedAt.IsZero() || s.EndedAt.IsZero() {
		t.Errorf("summary %+v", s)
	}
}

// Of a job that runs people ask where: its claim says it before any ending does.
func TestJobTellsWhereItRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1, Unit: "unit-1", Pod: "pod-uid-1", PodName: "pod-1", Node: "node-1"})
	w.say(id, contract.Event{Kind: contract.AttemptFailed, Attempt: 1, Reason: contract.AppExit, Unit: "unit-1", Pod: "pod-uid-1", PodName: "pod-1", Node: "node-1"})
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 2, Unit: "unit-1", Pod: "pod-uid-2", PodName: "pod-2"})
	w.say(id, contract.Event{Kind: contract.Started, Attempt: 2, Unit: "unit-1", Pod: "pod-uid-2", PodName: "pod-2", Node: "node-2"})
	var v view
	w.eventually("attempt 2 is at work", func() bool {
		v = view{}
		w.get("/jobs/" + id).want(200).into(&v)
		return len(v.Attempts) == 2 && !v.Attempts[1].StartedAt.IsZero()
	})
	for i, want := range []attemptView{{Unit: "unit-1", PodName: "pod-1", Node: "node-1"}, {Unit: "unit-1", PodName: "pod-2", Node: "node-2"}} {
		if a := v.Attempts[i]; a.Unit != want.Unit || a.PodName != want.PodName || a.Node != want.Node {
			t.Errorf("attempt %d: %+v", i+1, a)
		}
	}
}

func TestJobGivesItsResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	w.say(id, contract.Event{Kind: contract.AttemptFailed, Attempt: 1, Reason: contract.Panic})
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 2})
	w.say(id, contract.Event{Kind: contract.Succeeded, Attempt: 2, Result: json.RawMessage(`{"rows":3}`)})
	v := w.await(id, contract.StateSucceeded)
	if string(v.Result) != `{"rows":3}` || len(v.Attempts) != 2 || v.RetryCount != 1 || string(v.Attempts[1].Result) != `{"rows":3}` {
		t.Errorf("%+v", v)
	}
}

// Who was told that a job is accepted is never told that there is none: while the books are behind, nobody can say.
func TestJobThatTheBooksHaveNotComeTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(noJob, contract.Event{Kind: contract.Noop, Unit: "unit-1", Pod: "pod-1"}) // of which the bookkeeper writes nothing
	p := w.get("/jobs/" + noJob).want(503).problem()
	if p.Code != contract.CodeUnavailable || !strings.Contains(p.Detail, "are 1 events behind") {
		t.Errorf("%+v", p)
	}
	w.submit("", contract.StateQueued)
	w.get("/jobs/" + noJob).want(404)

	answers := make(chan answer)
	go func() { answers <- w.get("/jobs/" + noJob) }()
	w.eventually("somebody waits", func() bool { return w.waiting(noJob) == 1 })
	w.say(noJob, contract.Event{Kind: contract.Noop, Unit: "unit-2", Pod: "pod-2"})
	if a := <-answers; a.status != 404 {
		t.Errorf("what was said after the question keeps it from being answered: %d %s", a.status, a.body)
	}
}

// The stream away: the document is served without its words, and says so.
func TestJobWithoutItsWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.eventually("the last document", func() bool { return len(w.history(id)) == 2 })
	w.server.words = newWords(away{})
	v := w.await(id, contract.StateQueued)
	if !v.Incomplete || v.Submitter != "" {
		t.Errorf("%+v", v)
	}
}

// waiting tells how many wait for a job.
func (w *world) waiting(id string) int {
	w.server.ledger.bells.mu.Lock()
	defer w.server.ledger.bells.mu.Unlock()
	return len(w.server.ledger.bells.all[id])
}

// A submission that is a moment old is waited for.
func TestJobIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answers := make(chan answer)
	go func() { answers <- w.get("/jobs/" + noJob) }()
	w.eventually("somebody waits", func() bool { return w.waiting(noJob) == 1 })
	task := contract.Task{JobID: noJob, Run: 1, Type: "probe", Queue: "default", Payload: []byte("{}"), SubmittedAt: contract.At(time.Now()), Submitter: "x", Source: contract.FromAPI}
	body, err := task.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.say(noJob, contract.Event{Kind: contract.Submitted, Type: "probe", Source: contract.SourceAPI, Task: body})
	if a := <-answers; a.status != 200 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	start := time.Now()
	p := w.get("/jobs/01890a5d-ac96-774b-bcce-b302099a8050").want(404).problem()
	if took := time.Since(start); p.Code != contract.CodeNotFound || took < waitForJob {
		t.Errorf("%+v after %s", p, took)
	}
	w.get("/jobs/01890A5D-AC96-774B-BCCE-B302099A8050").want(404)
}
