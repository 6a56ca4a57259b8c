package api

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

func TestFollowAllEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	everything, failures, media := w.follow("/jobs/events"), w.follow("/jobs/events?event=attempt-failed"), w.follow("/jobs/events?queue=media&type=resize")
	if got := everything.header.Get("Etag"); got != "" || everything.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("headers %v", everything.header)
	}
	id := w.submit("", contract.StateQueued)
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	w.say(id, contract.Event{Kind: contract.AttemptFailed, Attempt: 1, Reason: contract.AppExit, Message: "no\nsuch"})
	w.submit(`{"queue":"media"}`, contract.StateQueued)
	if diff := cmp.Diff([]string{"submitted", "queued", "claimed", "attempt-failed", "submitted", "queued"}, everything.kinds(6)); diff != "" {
		t.Error(diff)
	}
	e, _ := failures.next()
	ce, err := contract.DecodeEvent([]byte(e.data))
	if err != nil || ce.JobID != id || ce.Message != "no\nsuch" || e.id != "4" {
		t.Errorf("%+v, %v", e, err)
	}
	if diff := cmp.Diff([]string{"submitted", "queued"}, media.kinds(2)); diff != "" {
		t.Error(diff)
	}
}

// A client that comes back goes on where it was: from memory, or, behind what memory holds, from the stream.
func TestFollowGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.submit("", contract.StateQueued)
	}
	for name, floor := range map[string]uint64{"memory": 0, "stream": 5, "the very end": 6} {
		w.server.feed.mu.Lock()
		for len(w.server.feed.ring) > 0 && w.server.feed.ring[0].Seq <= floor {
			w.server.feed.ring, w.server.feed.floor = w.server.feed.ring[1:], w.server.feed.ring[0].Seq
		}
		w.server.feed.mu.Unlock()
		l := w.follow("/jobs/events", header{"Last-Event-ID", "2"})
		for want := 3; want <= 6; want++ {
			if e, _ := l.next(); e.id != strconv.Itoa(want) {
				t.Errorf("%s: id %s, want %d", name, e.id, want)
			}
		}
		l.close()
	}
	l := w.follow("/jobs/events", header{"Last-Event-ID", "99999"}) // of another stream
	w.submit("", contract.StateQueued)
	if e, _ := l.next(); e.id != "7" {
		t.Errorf("id %s, want 7", e.id)
	}
}

func TestFollowTellsTheSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.submit("", contract.StateQueued)
	w.eventually("two events", func() bool { n, _ := w.server.feed.now(); return n == 2 })
	f := w.server.feed
	if _, _, err := f.after(0); err != nil {
		t.Fatal(err)
	}
	l := w.follow("/jobs/events")
	f.mu.Lock()
	f.ring, f.floor, f.last = nil, 50, 50 // forty-eight events have come and gone
	close(f.more)
	f.more = make(chan struct{})
	f.mu.Unlock()
	if e, _ := l.next(); e.event != "lagged" {
		t.Errorf("event %+v", e)
	}
	if e, ok := l.next(); ok {
		t.Errorf("not dropped: %+v", e)
	}
}

func TestFollowKeepsTheLineAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Heartbeat, o.MaxStreams = 10*time.Millisecond, 1 })
	l := w.follow("/jobs/events")
	for range 3 {
		if e := <-l.events; e.comment == "" {
			t.Fatalf("event %+v", e)
		}
	}
	l.close() // a client that leaves is noticed by the next heartbeats, and its place is free again
	w.eventually("a free place", func() bool { return len(w.server.streams) == 0 })
	w.do("HEAD", "/jobs/events", "").want(200)
	w.follow("/jobs/events").close()
}

func TestFollowOneJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.submit("", contract.StateQueued) // another's events are not shown
	l := w.follow("/jobs/" + id + "/events")
	if diff := cmp.Diff([]string{"submitted", "queued"}, l.kinds(2)); diff != "" {
		t.Error(diff)
	}
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	if diff := cmp.Diff([]string{"claimed"}, l.kinds(1)); diff != "" {
		t.Error(diff)
	}
	if err := w.stream.PublishCore(contract.ProgressSubject("default", "process-data", id), []byte("10/20 rows")); err != nil {
		t.Fatal(err)
	}
	e, _ := l.next()
	var p progressView
	if err := json.Unmarshal([]byte(e.data), &p); err != nil || e.event != "progress" || string(p.Data) != `"10/20 rows"` {
		t.Errorf("%+v, %v", e, err)
	}
	var v view
	w.get("/jobs/" + id).into(&v)
	if v.Progress == nil || string(v.Progress.Data) != `"10/20 rows"` {
		t.Errorf("progress %+v", v.Progress)
	}
	w.say(id, contract.Event{Kind: contract.Succeeded, Attempt: 1})
	if diff := cmp.Diff([]string{"succeeded", "end"}, l.kinds(2)); diff != "" {
		t.Error(diff)
	}
	if e, ok := l.next(); ok {
		t.Errorf("more after the end: %+v", e)
	}
	again := w.follow("/jobs/"+id+"/events", header{"Last-Event-ID", e.id})
	if diff := cmp.Diff([]string{"submitted", "queued", "claimed", "succeeded", "end"}, again.kinds(5)); diff != "" {
		t.Error(diff)
	}
	behind := w.follow("/jobs/"+id+"/events", header{"Last-Event-ID", "2"})
	if diff := cmp.Diff([]string{"claimed", "succeeded", "end"}, behind.kinds(3)); diff != "" {
		t.Error(diff)
	}
}

// The server does not wait for clients that would follow for ever.
func TestRunEndsStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	listeners := []*listener{w.follow("/jobs/events"), w.follow("/jobs/" + id + "/events")}
	start := time.Now()
	w.stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	for _, l := range listeners {
		for {
			if _, ok := l.next(); !ok {
				break
			}
		}
	}
}
