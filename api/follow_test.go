package api

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/feed"
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
	for name, path := range map[string]string{"where it was": "/jobs/events", "the header wins": "/jobs/events?after=4"} {
		l := w.follow(path, header{"Last-Event-ID", "2"})
		for want := 3; want <= 6; want++ {
			if e, _ := l.next(); e.id != strconv.Itoa(want) {
				t.Errorf("%s: id %s, want %d", name, e.id, want)
			}
		}
		l.close()
	}
	l := w.follow("/jobs/events", header{"Last-Event-ID", "99999"}) // of another stream
	if e, _ := l.next(); e.event != "gap" {
		t.Errorf("not told that the id is none of ours: %+v", e)
	}
	w.submit("", contract.StateQueued)
	if e, _ := l.next(); e.id != "7" {
		t.Errorf("id %s, want 7", e.id)
	}
}

// Another server, or the same one made anew, goes on where a client was: its memory is empty, the log is not.
func TestFollowGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	var o Options
	w := newWorld(t, func(p *Options) { o = *p })
	id := w.submit("", contract.StateQueued)
	l := w.follow("/jobs/events?after=0")
	l.kinds(2)
	w.stop()
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s)
	w.url = "http://" + s.Addr()
	again := w.follow("/jobs/events", header{"Last-Event-ID", "1"})
	w.say(id, contract.Event{Kind: contract.Succeeded, Attempt: 1})
	if diff := cmp.Diff([]string{"queued", "claimed", "succeeded"}, again.kinds(3)); diff != "" {
		t.Error(diff)
	}
}

// A client that does not read is told why it is let go and where it was, and misses nothing when it comes back.
func TestFollowTellsTheSlow(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	w.server.writing = 5 * time.Minute // the test's own machine may be slow
	w.run(func(ctx context.Context) error { <-ctx.Done(); return nil })
	body, release := w.idle("/jobs/events?after=0")
	const all = 1200 // of 30 KiB: more than memory and both ends of a connection hold
	result, _ := json.Marshal(strings.Repeat("x", 30<<10))
	id, _ := contract.NewJobID(time.Now(), rand.Reader)
	for n := range all {
		w.say(id, contract.Event{Kind: contract.Succeeded, Run: n + 1, Attempt: 1, Result: result})
	}
	w.eventually("all events seen", func() bool { n, _ := w.server.feed.Now(); return n == all })
	l := &listener{t: t, events: make(chan sse, all+10)}
	l.read(bufio.NewScanner(body), make(chan struct{}))
	release()
	close(l.events)
	var got []string
	var last sse
	for e := range l.events {
		if e.event == "succeeded" {
			got = append(got, e.id)
		}
		last = e
	}
	if last.event != "lagged" || last.id != got[len(got)-1] || len(got) == all {
		t.Fatalf("%d events, the last %+v", len(got), last)
	}
	again := w.follow("/jobs/events", header{"Last-Event-ID", last.id})
	for len(got) < all {
		e, _ := again.next()
		got = append(got, e.id)
	}
	for i, id := range got {
		if id != strconv.Itoa(i+1) {
			t.Fatalf("event %d has the id %s", i+1, id)
		}
	}
}

// Who is slow with the past keeps what others wait for: it is told so, and misses nothing when it comes back.
func TestFollowTellsTheSlowOfThePast(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	w.server.writing = 5 * time.Minute              // the test's own machine may be slow
	room := feed.Options{PastBytes: 1, Patience: 1} // for one
	w.server.feed = feed.New(w.stream, slog.New(slog.DiscardHandler), room)
	const all = 600 // of 30 KiB: more than both ends of a connection hold
	result, _ := json.Marshal(strings.Repeat("x", 30<<10))
	id, _ := contract.NewJobID(time.Now(), rand.Reader)
	for n := range all {
		w.say(id, contract.Event{Kind: contract.Succeeded, Run: n + 1, Attempt: 1, Result: result})
	}
	w.run(func(ctx context.Context) error { <-ctx.Done(); return nil })
	body, release := w.idle("/jobs/events?after=0")
	t.Cleanup(release)
	waits := w.follow("/jobs/events?after=0")
	slow := &listener{t: t, events: make(chan sse, all+10)}
	go func() {
		defer close(slow.events)
		slow.read(bufio.NewScanner(body), make(chan struct{}))
	}()
	told := 0
	for _, l := range []*listener{slow, waits} {
		for n := 1; n <= all; {
			e, _ := l.next()
			switch {
			case e.event == "lagged" && e.id == strconv.Itoa(n-1):
				told++
				l = w.follow("/jobs/events", header{"Last-Event-ID", e.id})
			case e.event == "succeeded" && e.id == strconv.Itoa(n):
				n++
			default:
				t.Fatalf("in the place of %d: id %q, event %q", n, e.id, e.event)
			}
		}
	}
	if told == 0 {
		t.Error("nobody was told")
	}
}

// idle opens a stream and reads nothing of it.
func (w *world) idle(path string) (body io.Reader, release func()) {
	w.t.Helper()
	client := http.Client{Transport: &http.Transport{}}
	res, err := client.Get(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.Body, func() { _ = res.Body.Close() }
}

func TestFollowBeginsWhereItIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	w.say(id, contract.Event{Kind: contract.Succeeded, Attempt: 1})
	third, err := w.stream.Event(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"?since=1h": {"submitted", "queued", "claimed", "succeeded"},
		"?since=" + third.At.UTC().Format(time.RFC3339Nano): {"claimed", "succeeded"},
		"?after=3":                        {"succeeded"},
		"?after=0&event=queued,succeeded": {"queued", "succeeded"},
		"?after=0&event=claimed&type=probe,process-data&queue=default,media": {"claimed"},
	} {
		l := w.follow("/jobs/events" + path)
		if diff := cmp.Diff(want, l.kinds(len(want))); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		l.close()
	}
	for _, path := range []string{"?since=never", "?since=-1h", "?after=x", "?after=1&since=1h", "?event=claimed,", "?queue=" + strings.Repeat("a,", 40) + "a"} {
		w.get("/jobs/events" + path).want(400)
	}
	w.get("/jobs/events", header{"Last-Event-ID", "x"}).want(400)
	later := w.follow("/jobs/events?since=0s")
	w.submit("", contract.StateQueued)
	if e, _ := later.next(); e.id != "5" {
		t.Errorf("the future begins with %+v", e)
	}
}

// Heartbeats carry how far a filter has been looked through.
func TestFollowPassesWhatIsNotWanted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Heartbeat = 10 * time.Millisecond })
	l := w.follow("/jobs/events?event=failed")
	w.submit("", contract.StateQueued)
	for e := range l.events {
		if e.event != "" {
			t.Fatalf("event %+v", e)
		}
		if e.id == "2" {
			return
		}
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

// What a server of NATS has not stored yet is waited for: the document names it, and nobody would send it later.
func TestFollowOneJobWaitsForAServerThatIsBehind(t *testing.T) {
	t.Parallel()
	var lag *lagging
	w := newWorld(t, func(o *Options) { lag = lagged(o) })
	id := w.submit("", contract.StateQueued)
	l := w.follow("/jobs/" + id + "/events")
	if diff := cmp.Diff([]string{"submitted", "queued"}, l.kinds(2)); diff != "" {
		t.Error(diff)
	}
	lag.until.Store(2)
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	w.eventually("it is asked for in vain", func() bool { return lag.missed.Load() > 0 })
	before := lag.missed.Load()
	w.say(id, contract.Event{Kind: contract.Succeeded, Attempt: 1})
	w.await(id, contract.StateSucceeded)
	w.eventually("it is asked for again", func() bool { return lag.missed.Load() > before })
	lag.catchUp()
	if diff := cmp.Diff([]string{"claimed", "succeeded", "end"}, l.kinds(3)); diff != "" {
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
