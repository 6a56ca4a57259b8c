package api

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// sse is one event as a client reads it; a comment has only the comment.
type sse struct{ id, event, data, comment string }

// listener reads a stream in the background.
type listener struct {
	t      testing.TB
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
				l.events <- sse{id: e.id, comment: value}
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

// A heartbeat carries how far a client has come that saw nothing; what is dropped is told why and where it was.
func TestEventWriterTellsWhereItIs(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	e := &eventWriter{w: bufio.NewWriter(&out), conn: here}
	e.event(7, "x", []byte("{}"))
	e.pass(9)
	for range 2 {
		if err := e.beat(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.drop(9, "too slow"); err != nil {
		t.Fatal(err)
	}
	want := "id: 7\nevent: x\ndata: {}\n\n" + "id: 9\n: still here\n\n" + ": still here\n\n" +
		"id: 9\nevent: lagged\ndata: {\"detail\":\"too slow\",\"resumeFrom\":9}\n\n"
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// sizes notes how large the largest write was.
type sizes struct{ most int }

func (s *sizes) Write(p []byte) (int, error) {
	s.most = max(s.most, len(p))
	return len(p), nil
}

// What is written at once lies several times between us and a slow client, so that a large event goes in pieces.
func TestEventWriterWritesInPieces(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	var out sizes
	e := &eventWriter{w: bufio.NewWriter(&out), conn: here}
	e.event(7, "x", bytes.Repeat([]byte("x"), 1<<20))
	if err := e.flush(); err != nil || out.most > 16<<10 {
		t.Errorf("%d bytes at once, %v", out.most, err)
	}
}
