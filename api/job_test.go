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

func (w *world) history(id string) []storedEvent {
	w.t.Helper()
	var h jobHistory
	w.get("/jobs/" + id + "/events").want(200).into(&h)
	return h.Events
}

// A submission that is a moment old is waited for.
func TestJobIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answers := make(chan answer)
	go func() { answers <- w.get("/jobs/" + noJob) }()
	w.eventually("somebody waits", func() bool {
		w.server.ledger.bells.mu.Lock()
		defer w.server.ledger.bells.mu.Unlock()
		return len(w.server.ledger.bells.all[noJob]) == 1
	})
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

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.failed()
	events := w.history(id)
	var kinds []string
	for _, e := range events {
		ce, err := contract.DecodeEvent(e.Event)
		if err != nil || ce.JobID != id || e.At.IsZero() {
			t.Errorf("%s: %v", e.Event, err)
		}
		kinds = append(kinds, string(ce.Kind))
	}
	if got := strings.Join(kinds, " "); got != "submitted queued claimed started attempt-failed failed" {
		t.Errorf("events %s", got)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.failed()
	output := w.bucket(contract.BucketOutput)
	put := func(run, attempt int, text string) {
		t.Helper()
		if _, err := output.Put(t.Context(), contract.OutputKey("default", id, run, attempt), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	put(1, 1, "one\x00<script>\xff\n")
	a := w.get("/jobs/" + id + "/logs").want(200)
	if string(a.body) != "one\x00<script>\xff\n" || a.header.Get("Content-Type") != "text/plain; charset=utf-8" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q %v", a.body, a.header)
	}
	put(1, 2, "two")
	if a := w.get("/jobs/" + id + "/logs?attempt=2").want(200); string(a.body) != "two" {
		t.Errorf("%q", a.body)
	}
	w.get("/jobs/" + id + "/logs?run=2").want(404)
	w.get("/jobs/" + id + "/logs?attempt=34").want(400)
	w.get("/jobs/" + id + "/logs?lines=3").want(400)
}

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

func TestRequeue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.failed()
	first := w.messages()
	if len(first) != 1 {
		t.Fatalf("%d messages", len(first))
	}
	var r receipt
	a := w.do("POST", "/jobs/"+id+"/requeue", "").want(202)
	a.into(&r)
	if r != (receipt{JobID: id, Run: 2, State: contract.StateQueued}) || a.header.Get("Location") != "/jobs/"+id {
		t.Errorf("%+v", r)
	}
	w.await(id, contract.StateQueued)
	w.do("POST", "/jobs/"+id+"/requeue", `{"run":1}`).want(202).into(&r) // the client's retry
	if r.Run != 2 {
		t.Errorf("%+v", r)
	}
	again := w.messages()
	if len(again) != 1 || again[0].Run != 2 || again[0].Source != contract.FromRequeue || again[0].SubmittedAt != first[0].SubmittedAt ||
		string(again[0].Payload) != string(first[0].Payload) {
		t.Errorf("messages %+v", again)
	}
	if p := w.do("POST", "/jobs/"+id+"/requeue", "").want(409).problem(); !strings.Contains(p.Detail, "has not ended") {
		t.Errorf("%+v", p)
	}
	if p := w.do("POST", "/jobs/"+id+"/requeue", `{"run":9}`).want(400).problem(); p.Field != "run" {
		t.Errorf("%+v", p)
	}
	v := w.await(id, contract.StateQueued)
	if v.Run != 2 || len(v.Runs) != 2 || v.Runs[0].Outcome != contract.OutcomeFailed || v.Source != contract.FromRequeue {
		t.Errorf("%+v", v)
	}
	// A cancelled job may be run again too, though its cancel left `next: none`.
	w.do("DELETE", "/jobs/"+id, "").want(202)
	w.await(id, contract.StateCancelled)
	w.do("POST", "/jobs/"+id+"/requeue", "").want(202).into(&r)
	if r.Run != 3 {
		t.Errorf("%+v", r)
	}
}

// What has aged out of the stream cannot be sent again, and that is said.
func TestRequeueWithoutATask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.failed()
	w.server.events, w.server.words = gone{w.stream}, newWords(gone{w.stream})
	for _, r := range []request{{"POST", "/jobs/" + id + "/requeue", "", 409, nil}, {"DELETE", "/jobs/" + id, "", 409, nil}} {
		if p := w.do(r.method, r.path, r.body).want(r.status).problem(); !strings.Contains(p.Detail, "no longer kept") {
			t.Errorf("%+v", p)
		}
	}
	var h jobHistory
	w.get("/jobs/" + id + "/events").want(200).into(&h)
	if len(h.Events) != 0 || h.More != 6 {
		t.Errorf("%+v", h)
	}
}
