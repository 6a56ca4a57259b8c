package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

const secret = "a-secret-of-the-test"

// world is a real NATS, and a server that is told of events.
type world struct {
	t       *testing.T
	nats    *natslocal.Server
	dir     string // its files
	stream  *stream.Stream
	records *stream.Bucket
	hook    contract.Webhook
	there   *httptest.Server
	said    int

	mu     sync.Mutex
	got    []arrival
	answer func(a arrival, n int) int // the status; n counts what has come before
}

// arrival is one request.
type arrival struct {
	seq    int
	job    string
	header http.Header
	body   []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), answer: func(arrival, int) int { return 204 }}
	w.serveNATS("127.0.0.1:0")
	t.Cleanup(func() { w.nats.Stop() })
	w.stream = testenv.Dial(t, w.nats)
	testenv.MakeStreams(t, w.stream)
	var err error
	if w.records, err = w.stream.Bucket(t.Context(), contract.BucketWebhooks); err != nil {
		t.Fatal(err)
	}
	w.there = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.there.Close)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.hook = contract.Webhook{
		Name: "ours", URL: w.there.URL + "/hook?token=x", SecretFile: file, Timeout: contract.Duration(10 * time.Second),
		RetryFor: contract.DefaultRetryFor, Allow: []string{"127.0.0.0/8"},
	}
	return w
}

func (w *world) serveNATS(addr string) {
	w.t.Helper()
	var err error
	if w.nats, err = natslocal.Start(natslocal.Options{Addr: addr, Dir: w.dir}); err != nil {
		w.t.Fatal(err)
	}
}

// restart takes NATS away and brings it back at the same address.
func (w *world) restart() {
	w.t.Helper()
	addr := strings.TrimPrefix(w.nats.URL(), "nats://")
	w.nats.Stop()
	w.serveNATS(addr)
	w.eventually("NATS is back", func() bool { return w.stream.Ready(w.t.Context()) == nil })
}

func (w *world) serve(res http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the other end is gone
	}
	seq, _ := strconv.Atoi(req.Header.Get(contract.HeaderSequence))
	a := arrival{seq: seq, header: req.Header.Clone(), body: body}
	if e, err := contract.DecodeEvent(body); err == nil {
		a.job = e.JobID
	}
	w.mu.Lock()
	n := len(w.got)
	w.got = append(w.got, a)
	answer := w.answer
	w.mu.Unlock()
	status := answer(a, n)
	if status >= 300 && status < 400 {
		res.Header().Set("Location", "/elsewhere")
	}
	res.WriteHeader(status)
}

// run delivers until the test ends or stop is called, whichever is first.
func (w *world) run(change ...func(*Options)) (stop func()) {
	w.t.Helper()
	s := testenv.Dial(w.t, w.nats)
	records, err := s.Bucket(w.t.Context(), contract.BucketWebhooks)
	if err != nil {
		w.t.Fatal(err)
	}
	o := Options{
		Hooks: []contract.Webhook{w.hook}, Lease: s.Lease(contract.LeaseWebhooks, fmt.Sprint(time.Now().UnixNano())), Events: s, Records: records,
		FirstBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, NoteEvery: 10 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	hooks, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- hooks.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// begun runs, and waits until the webhook has its record: what is said from then on is delivered.
func (w *world) begun(change ...func(*Options)) (stop func()) {
	w.t.Helper()
	stop = w.run(change...)
	w.eventually("a record", func() bool { _, found := w.state(); return found })
	return stop
}

func (w *world) state() (contract.WebhookState, bool) {
	w.t.Helper()
	r, found, err := load(w.t.Context(), w.records, "ours")
	if err != nil && !errors.Is(err, stream.ErrUnavailable) {
		w.t.Fatal(err)
	}
	return r.WebhookState, found
}

// noted waits until the record has come so far.
func (w *world) noted(seq uint64) contract.WebhookState {
	w.t.Helper()
	var s contract.WebhookState
	w.eventually(fmt.Sprintf("noted up to %d", seq), func() bool { s, _ = w.state(); return s.Seq == seq })
	return s
}

// say publishes an event of a job.
func (w *world) say(job, attempt int, kind contract.Kind) {
	w.t.Helper()
	w.said++
	at := contract.At(time.Now())
	e := contract.Event{
		Kind: kind, Source: contract.SourceProcessor, Time: at, Queue: "default", Type: "probe",
		JobID: contract.KeyID("test", fmt.Sprint(job)), Run: w.said, Attempt: attempt, SubmittedAt: at,
	}
	if kind == contract.Failed || kind == contract.AttemptFailed {
		e.Reason = contract.AppExit
	}
	if _, err := w.stream.Publish(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ; !ok(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("never came to be: %s; %d arrived", what, len(w.arrived()))
		}
	}
}

func (w *world) arrived() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

func (w *world) answerWith(answer func(a arrival, n int) int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// order asks the webhook to go on from a sequence.
func (w *world) order(id string, from uint64) {
	w.t.Helper()
	b := fmt.Sprintf(`{"v":1,"id":%q,"from":%d,"at":"2026-11-21T16:00:00.000Z","by":"test"}`, id, from)
	if _, err := w.records.Put(w.t.Context(), contract.WebhookOrderKey("ours"), []byte(b)); err != nil {
		w.t.Fatal(err)
	}
}
