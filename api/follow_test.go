package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// sse is one event as a client reads it; a comment has only the comment.
type sse struct{ id, event, data, comment string }

// listener reads a stream in the background.
type listener struct {
	t      *testing.T
	events chan sse
	close  func()
	header http.Header
}

// follow opens a stream and waits for its first bytes.
func (w *world) follow(path string, headers ...header) *listener {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	res, err := w.http.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("status %d", res.StatusCode)
	}
	l := &listener{t: w.t, events: make(chan sse, 10_000), header: res.Header}
	ended := make(chan struct{})
	l.close = func() {
		cancel()
		<-ended
	}
	w.t.Cleanup(l.close)
	ready := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(l.events)
		defer res.Body.Close()
		l.read(bufio.NewScanner(res.Body), ready)
	}()
	select {
	case <-ready:
	case <-time.After(5 * time.Second):
		w.t.Fatal("the first bytes were held back")
	}
	return l
}

func (l *listener) read(lines *bufio.Scanner, ready chan struct{}) {
	lines.Buffer(nil, 2<<20)
	var e sse
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "retry":
			close(ready)
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			e.data += value
		case "":
			if value != "" {
				l.events <- sse{comment: value}
			} else if e != (sse{}) {
				l.events <- e
			}
			e = sse{}
		}
	}
}

// next gives the next event that is no comment; false where the stream has ended.
func (l *listener) next() (sse, bool) {
	l.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-l.events:
			if ok && e.comment != "" {
				continue
			}
			return e, ok
		case <-deadline:
			l.t.Fatal("no event came")
		}
	}
}

// kinds gives the kinds of the next n events.
func (l *listener) kinds(n int) (kinds []string) {
	l.t.Helper()
	for range n {
		e, ok := l.next()
		if !ok {
			l.t.Fatalf("ended after %v", kinds)
		}
		kinds = append(kinds, e.event)
	}
	return kinds
}

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

func TestEventWriterSplitsLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	e := &eventWriter{w: bufio.NewWriter(&out)}
	e.event(7, "x", []byte("{\r\n1}"))
	if err := e.w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "id: 7\nevent: x\ndata: {\ndata: 1}\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFeedForgetsTheOldest(t *testing.T) {
	t.Parallel()
	f := newFeed()
	f.begin(10)
	for seq := uint64(11); seq <= 10+feedEvents+5; seq++ {
		f.add(storedOf(seq, 10))
	}
	if f.held(14) || !f.held(15) {
		t.Errorf("floor %d", f.floor)
	}
	events, _, err := f.after(20)
	if err != nil || len(events) != feedTake || events[0].Seq != 21 {
		t.Errorf("%d events, %v", len(events), err)
	}
	for seq := uint64(20_000); seq < 20_040; seq++ {
		f.add(storedOf(seq, feedBytes/20))
	}
	if f.bytes > feedBytes || len(f.ring) > 20 {
		t.Errorf("%d bytes of %d events", f.bytes, len(f.ring))
	}
	if _, _, err := f.after(20_000); err == nil {
		t.Error("a position that is long gone was held")
	}
	if events, _, err := f.after(20_039); err != nil || len(events) > 0 {
		t.Errorf("%d events, %v", len(events), fmt.Sprint(err))
	}
}
