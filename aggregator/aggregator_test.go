package aggregator

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// world is a NATS of the test's own with every stream and bucket.
type world struct {
	t        testing.TB
	dir      string
	batch    int // messages that the server takes in one; 0: as our own servers do
	server   *natslocal.Server
	apart    string // address of a server in a process of its own
	endApart func() // of it
	settings stream.Settings
	stream   *stream.Stream
	bucket   *stream.Bucket
	log      *slog.Logger
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), settings: stream.DefaultSettings(), log: slog.New(slog.DiscardHandler)}
	if os.Getenv("TALLYMAN_TEST_LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	w.serve("127.0.0.1:0")
	t.Cleanup(func() { w.server.Stop() })
	w.stream = testenv.Dial(t, w.server)
	w.ensure()
	return w
}

func (w *world) serve(addr string) {
	w.t.Helper()
	s, err := natslocal.Start(natslocal.Options{Addr: addr, Dir: w.dir, MaxBatch: w.batch})
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = s
}

// bounce stops the server and starts it again at the same address, maybe without one of its streams.
func (w *world) bounce(without string) {
	w.t.Helper()
	u, err := url.Parse(w.server.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	w.server.Stop()
	if without != "" {
		gone := filepath.Join(w.dir, "jetstream", "$G", "streams", without)
		if _, err := os.Stat(gone); err != nil {
			w.t.Fatal(err)
		}
		if err := os.RemoveAll(gone); err != nil {
			w.t.Fatal(err)
		}
	}
	w.serve(u.Host)
	w.eventually("NATS is back", func() error { return w.stream.Ready(w.t.Context()) })
	w.ensure()
}

// eventually asks again and again, for a while.
func (w *world) eventually(what string, ask func() error) {
	w.t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("%s: still %v", what, err)
		case <-tick.C:
		}
	}
}

// patience is how long a test waits for what must come; it is only ever used up by a fault.
const patience = 2 * time.Minute

func (w *world) ensure() {
	w.t.Helper()
	w.eventually("streams made", func() error { return w.stream.Ensure(w.t.Context(), w.settings) })
	w.bucket = w.open(w.stream)
}

func (w *world) open(s *stream.Stream) *stream.Bucket {
	w.t.Helper()
	b, err := s.Bucket(w.t.Context(), contract.BucketJobs)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) options() Options {
	return Options{Events: w.stream, Bucket: w.bucket, Log: w.log}
}

// start runs an aggregator until stop, which waits for it.
func (w *world) start(o Options) (a *Aggregator, stop func()) {
	w.t.Helper()
	a, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
	w.t.Cleanup(stop)
	return a, stop
}

// publish says events and gives the sequence of the last.
func (w *world) publish(all []said) (last uint64) {
	w.t.Helper()
	for _, s := range all {
		seq, err := w.stream.Publish(w.t.Context(), *s.event)
		if err != nil {
			w.t.Fatal(err)
		}
		last = max(last, seq)
	}
	return last
}

// settled waits until the bucket has come to seq.
func (w *world) settled(a *Aggregator, seq uint64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := a.Committed(ctx, seq); err != nil {
		w.t.Fatalf("%v (ready: %v)", err, a.Ready())
	}
}

// shown is every document of the bucket but for the checkpoint, as bytes, the windows as a reader takes them.
func (w *world) shown() map[string]string {
	w.t.Helper()
	all, err := w.bucket.List(w.t.Context(), ">")
	if err != nil {
		w.t.Fatal(err)
	}
	v := make(map[string]string)
	var books []contract.Book
	var stats contract.Stats
	into := func(b []byte, into any) {
		if err := json.Unmarshal(b, into); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, e := range all {
		switch prefix, _, _ := strings.Cut(e.Key, "."); prefix {
		case contract.KeyCheckpoint:
		case "book", "window":
			books = append(books, contract.Book{})
			into(e.Value, &books[len(books)-1])
		default:
			v[e.Key] = string(e.Value)
		}
	}
	if s := v[contract.KeyStats]; s != "" {
		into([]byte(s), &stats)
	}
	for key, text := range showBooks(books, &stats.Kept) {
		v[key] = text
	}
	return v
}

// reference is what the bucket must hold: the stream folded from its first event by one pure fold.
func (w *world) reference(r rules) map[string]string {
	w.t.Helper()
	info, err := w.stream.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	l := newLedger(r)
	if info.First > 1 {
		l.gap(1, info.First-1)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	err = w.stream.Follow(ctx, 0, func(e stream.Stored) error {
		event := &e.Event
		if e.Fault != nil {
			event = nil
		}
		l.fold(e.Seq, e.At, event)
		if e.Seq == info.Last {
			cancel()
		}
		return nil
	})
	if ctx.Err() == nil {
		w.t.Fatal(err)
	}
	return view(w.t, l)
}

// same checks the bucket against the reference; but for the documents' asOf of attention, which is
// older where nobody who waits has changed since.
func (w *world) same() {
	w.t.Helper()
	w.sameBy(testRules)
}

func (w *world) sameBy(r rules) {
	w.t.Helper()
	got, want := w.shown(), w.reference(r)
	for _, v := range []map[string]string{got, want} {
		var a contract.Attention
		if err := json.Unmarshal([]byte(v[contract.KeyAttention]), &a); err != nil {
			w.t.Fatalf("%s: %v", contract.KeyAttention, err)
		}
		a.AsOf = contract.AsOf{}
		v[contract.KeyAttention] = fmt.Sprintf("%+v", a)
	}
	if d := cmp.Diff(want, got); d != "" {
		w.t.Fatalf("the bucket is not what the stream adds up to:\n%s", d)
	}
}

func TestEventsBecomeDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, _ := w.start(w.options())
	author := newAuthor(1)
	author.life(testID(1), 1, contract.Succeeded)
	author.life(testID(2), 3, contract.Failed)
	author.say(event(testID(3), 1, 0, contract.Submitted, 5))
	author.units(5)
	w.settled(a, w.publish(author.all))
	w.same()
	var s contract.Stats
	if err := json.Unmarshal([]byte(w.shown()[contract.KeyStats]), &s); err != nil {
		t.Fatal(err)
	}
	if s.SucceedJob != 1 || s.JobRetry != 2 || s.FailedJob != 3 || !s.Balanced || s.Jobs.Accepted != 1 {
		t.Errorf("stats %+v", s)
	}
	if err := a.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestOptionsNameEveryBadField(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Retention: 1, Window: 1, Every: -1})
	for _, field := range []string{"Events", "Bucket", "Retention", "Window", "Every"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}

// tallyman dev has no flag for the retention, and takes any queue that SQS takes.
func TestTheDefaultRetentionSuitsAnyQueue(t *testing.T) {
	t.Parallel()
	c := contract.Config{Queues: []contract.Queue{{Retention: contract.MaxRetention}}}
	if least := c.LeastRetention(); least != 337*time.Hour || DefaultRetention < least {
		t.Errorf("%s of the %s that a queue may ask for", DefaultRetention, least)
	}
}
