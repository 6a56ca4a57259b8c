package api

import (
	"strings"
	"testing"

	"tallyman/contract"
)

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

// A server of NATS that has not stored a task yet is no word that it is no longer kept: cancel, requeue and the events can
// be asked for again, and then are what they would have been.
func TestATaskThatAServerHasNotStoredYet(t *testing.T) {
	t.Parallel()
	var lag *lagging
	w := newWorld(t, func(o *Options) { lag = lagged(o) })
	id := w.submit("", contract.StateQueued)
	for _, r := range []struct {
		method, path string
		status       int
		state        contract.State
	}{
		{"GET", "/jobs/" + id + "/events", 200, contract.StateQueued},
		{"DELETE", "/jobs/" + id, 202, contract.StateCancelled},
		{"POST", "/jobs/" + id + "/requeue", 202, contract.StateQueued},
	} {
		lag.until.Store(0)
		w.server.words = newWords(lag) // which remember nothing
		if p := w.do(r.method, r.path, "").want(503).problem(); p.Code != contract.CodeUnavailable || !strings.Contains(p.Detail, "try again") {
			t.Errorf("%s: %+v", r.path, p)
		}
		if v := w.view(id); !v.Incomplete {
			t.Errorf("%s: without its words it is whole: %+v", r.path, v)
		}
		lag.catchUp()
		w.do(r.method, r.path, "").want(r.status)
		w.await(id, r.state)
	}
}

func (w *world) view(id string) (v view) {
	w.t.Helper()
	w.get("/jobs/" + id).want(200).into(&v)
	return v
}
