package api

import (
	"strings"
	"testing"

	"tallyman/contract"
)

func (w *world) history(id string) []storedEvent {
	w.t.Helper()
	var h jobHistory
	w.get("/jobs/" + id + "/events").want(200).into(&h)
	return h.Events
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
	var some jobHistory
	w.get("/jobs/" + id + "/events?event=claimed,failed").want(200).into(&some)
	if len(some.Events) != 2 || some.More != 0 {
		t.Errorf("%+v", some)
	}
	l := w.follow("/jobs/" + id + "/events?event=claimed,failed")
	if got := strings.Join(l.kinds(3), " "); got != "claimed failed end" {
		t.Errorf("events %s", got)
	}
	w.get("/jobs/" + id + "/events?event=nope").want(400)
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
