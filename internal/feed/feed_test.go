package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// world is a feed of a real NATS.
type world struct {
	t      *testing.T
	nats   *natslocal.Server
	stream *stream.Stream
	feed   *Feed
	said   int
}

// newWorld says some events before the feed begins, so that they are behind its ring.
func newWorld(t *testing.T, before int) *world {
	t.Helper()
	w := &world{t: t, nats: testenv.NATSServer(t)}
	w.stream = testenv.Dial(t, w.nats)
	testenv.MakeStreams(t, w.stream)
	w.say(before)
	w.feed = New(w.stream, slog.New(slog.DiscardHandler), Options{})
	w.feed.look = 20 * time.Millisecond
	w.run(w.feed)
	return w
}

func (w *world) run(f *Feed) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := f.Run(ctx); !errors.Is(err, context.Canceled) {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(func() { cancel(); work.Wait() })
	if !f.Reached(w.t.Context()) {
		w.t.Fatal("not reached")
	}
}

func (w *world) say(n int) {
	w.t.Helper()
	for range n {
		w.said++
		at := contract.At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
		_, err := w.stream.Publish(w.t.Context(), contract.Event{
			Kind: contract.Queued, Source: contract.SourceAPI, Time: at, Queue: "default", Type: "probe",
			JobID: contract.KeyID("test", fmt.Sprint(w.said)), Run: 1, SubmittedAt: at,
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("never came to be: %s", what)
		}
	}
}

// collect reads up to a sequence; holes are told as negative numbers.
func (w *world) collect(r *Reader, until uint64) (seqs []int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	defer cancel()
	for r.At() < until {
		b, err := r.Next(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if b.Missing > 0 {
			seqs = append(seqs, -int(b.Missing))
		}
		for _, st := range b.Events {
			seqs = append(seqs, int(st.Seq))
		}
		if len(b.Events) == 0 {
			select {
			case <-b.More:
			case <-ctx.Done():
				w.t.Fatalf("stuck behind %d", r.At())
			}
		}
	}
	return seqs
}

func (w *world) reader(after uint64) *Reader {
	w.t.Helper()
	r, known, err := w.feed.Reader(w.t.Context(), after)
	if err != nil || !known {
		w.t.Fatalf("known %v, %v", known, err)
	}
	return r
}

func to(first, last int) (seqs []int) {
	for n := first; n <= last; n++ {
		seqs = append(seqs, n)
	}
	return seqs
}

// A reader that passes events, in the log, in memory or not there yet, sees those behind them.
func TestAReaderPassesWhatItNeedNotSee(t *testing.T) {
	t.Parallel()
	const before = take + 50
	w := newWorld(t, before)
	r := w.reader(0)
	r.Pass(before - 5)
	got := w.collect(r, before)
	w.say(5)
	r.Pass(before + 2)
	r.Pass(3) // which it has
	got = append(got, w.collect(r, before+5)...)
	r.Pass(before + 7)
	w.say(4)
	got = append(got, w.collect(r, before+9)...)
	if want := append(append(to(before-4, before), to(before+3, before+5)...), before+8, before+9); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Readers that begin anywhere, in the log, at its join with memory and in memory, see each event once, while
// more are said.
func TestReadersSeeEachEventOnce(t *testing.T) {
	t.Parallel()
	const before, during = take + 50, 400
	w := newWorld(t, before)
	var work sync.WaitGroup
	for _, after := range []int{0, 1, take - 1, take, before - 1, before} {
		r := w.reader(uint64(after))
		work.Go(func() {
			if got := w.collect(r, before+during); !slices.Equal(got, to(after+1, before+during)) {
				t.Errorf("behind %d: %v", after, got)
			}
		})
	}
	w.say(during)
	work.Wait()
}

// What the stream no longer has is told, whether something is left or nothing.
func TestReadersAreToldWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	js := w.jetstream()
	s, err := js.Stream(t.Context(), contract.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 5
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got, want := w.collect(w.reader(3), 20), append([]int{-12}, to(16, 20)...); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	cfg.MaxMsgs, cfg.MaxAge, cfg.Duplicates = -1, 100*time.Millisecond, 100*time.Millisecond
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	w.eventually("nothing left", func() bool {
		info, err := w.stream.Info(t.Context())
		return err == nil && info.First == 21
	})
	r := w.reader(18)
	if got := w.collect(r, 20); !slices.Equal(got, []int{-2}) {
		t.Errorf("%v", got)
	}
	w.say(1)
	if got := w.collect(r, 21); !slices.Equal(got, []int{21}) {
		t.Errorf("%v", got)
	}
}

func (w *world) jetstream() jetstream.JetStream {
	w.t.Helper()
	nc, err := nats.Connect(w.nats.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	return js
}

// A stream that was deleted and made again has other events under the same numbers.
func TestAStreamMadeAnewIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	r := w.reader(2)
	blind := New(w.stream, slog.New(slog.DiscardHandler), Options{}) // it has its consumer alone
	blind.look = time.Hour
	w.run(blind)
	w.say(1)
	w.eventually("its consumer stands", func() bool { return blind.Event(6) != nil })
	if err := w.jetstream().DeleteStream(t.Context(), contract.StreamEvents); err != nil {
		t.Fatal(err)
	}
	testenv.MakeStreams(t, w.stream)
	w.eventually("noticed", func() bool { return !w.feed.Created().Equal(r.Created()) })
	w.eventually("noticed by the consumer", func() bool { return !blind.Created().Equal(r.Created()) })
	if _, err := r.Next(t.Context()); !errors.Is(err, ErrAnew) {
		t.Errorf("%v", err)
	}
	if _, known, err := w.feed.Reader(t.Context(), 5); known || err != nil {
		t.Errorf("an id of the old stream: known %v, %v", known, err)
	}
	w.say(3)
	if got := w.collect(w.reader(0), 3); !slices.Equal(got, to(1, 3)) {
		t.Errorf("%v", got)
	}
}

// One process may be behind another, whose clients come with ids that it has not seen.
func TestAnIDThatOthersHaveSeenIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	behind := New(w.stream, slog.New(slog.DiscardHandler), Options{})
	info, err := w.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	behind.begin(info)
	w.say(2)
	r, known, err := behind.Reader(t.Context(), 4)
	if err != nil || !known {
		t.Fatalf("known %v, %v", known, err)
	}
	for n := uint64(4); n <= 5; n++ {
		behind.add(&stream.Stored{Seq: n})
	}
	if got := w.collect(r, 5); !slices.Equal(got, []int{5}) {
		t.Errorf("%v", got)
	}
	if _, known, err := behind.Reader(t.Context(), 6); known || err != nil {
		t.Errorf("an id of nobody's: known %v, %v", known, err)
	}
}

func TestFeedForgetsTheOldest(t *testing.T) {
	t.Parallel()
	f := New(nil, nil, Options{})
	f.begin(stream.Info{Created: time.Unix(1, 0), Last: 10})
	for seq := uint64(11); seq <= 10+maxEvents+5; seq++ {
		f.add(&stream.Stored{Seq: seq, Raw: make([]byte, 10)})
	}
	if f.floor != 15 || f.Event(15) != nil || f.Event(16) == nil || f.Event(16).Seq != 16 || f.Event(1<<40) != nil || f.Event(0) != nil {
		t.Errorf("floor %d", f.floor)
	}
	for seq := uint64(10 + maxEvents + 6); seq < 10+maxEvents+46; seq++ {
		f.add(&stream.Stored{Seq: seq, Raw: make([]byte, maxBytes/20)})
	}
	if f.bytes > maxBytes || len(f.ring) > 20 {
		t.Errorf("%d bytes of %d events", f.bytes, len(f.ring))
	}
}

// A stream that does not answer when it is looked at is silent until it does again, however little is said on it.
func TestASilentStreamIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.eventually("it answers", func() bool { return w.feed.Silent() == 0 })
	w.nats.Stop()
	w.eventually("silence", func() bool { return w.feed.Silent() > 0 })
	before := w.feed.Silent()
	w.eventually("more silence", func() bool { return w.feed.Silent() > before })
}
