package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// sayLarge says events of which a page has only two.
func (w *world) sayLarge(n int) {
	w.t.Helper()
	at := contract.At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	for range n {
		w.said++
		id := contract.KeyID("test", fmt.Sprint(w.said))
		task := contract.Task{
			JobID: id, Run: 1, Type: "probe", Queue: "default", Payload: []byte(`"` + strings.Repeat("x", 140<<10) + `"`),
			SubmittedAt: at, Submitter: "test", Source: contract.FromAPI,
		}
		body, err := task.Encode()
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.stream.Publish(w.t.Context(), contract.Event{
			Kind: contract.Submitted, Source: contract.SourceAPI, Time: at, Queue: "default", Type: "probe",
			JobID: id, Run: 1, SubmittedAt: at, Task: body,
		}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// tight is a feed of which a reader or two may keep something of the past at a time.
func (w *world) tight(bytes int64) *Feed {
	f := New(w.stream, slog.New(slog.DiscardHandler), Options{PastBytes: bytes, Patience: time.Nanosecond})
	info, err := w.stream.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	f.begin(info)
	return f
}

func (w *world) readerOf(f *Feed, after uint64) *Reader {
	w.t.Helper()
	r, known, err := f.Reader(w.t.Context(), after)
	if err != nil || !known {
		w.t.Fatalf("known %v, %v", known, err)
	}
	return r
}

// kept is what readers keep at a moment, and the most that it has been.
type kept struct {
	mu        sync.Mutex
	now, most int
}

func (k *kept) add(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now += n
	k.most = max(k.most, k.now)
}

// Many who read large events slowly keep no more of them together than they may, and each comes to see all.
func TestSlowReadersOfThePastShareItsBytes(t *testing.T) {
	t.Parallel()
	const readers, all, bytes = 40, 12, 4 << 20
	w := newWorld(t, 0)
	w.sayLarge(all)
	f := w.tight(bytes)
	var keep kept
	var work sync.WaitGroup
	reading := make(chan struct{})
	for range readers {
		r := w.readerOf(f, 0)
		work.Go(func() {
			defer r.Close()
			var got []int
			for r.At() < all {
				b, err := r.Next(t.Context())
				if errors.Is(err, stream.ErrUnavailable) { // as who follows does
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				size := 0
				for _, st := range b.Events {
					size += len(st.Raw) + len(st.Event.Task)
					got = append(got, int(st.Seq))
				}
				keep.add(size)
				<-reading
				keep.add(-size)
			}
			if !slices.Equal(got, to(1, all)) {
				t.Errorf("%v", got)
			}
		})
	}
	w.eventually("all that may be kept is kept, and others wait", func() bool {
		keep.mu.Lock()
		defer keep.mu.Unlock()
		return keep.now > bytes-maxShare && f.past.waiting.Load() > 0
	})
	close(reading)
	work.Wait()
	if keep.most > bytes {
		t.Errorf("%d bytes were kept at a time, of %d", keep.most, bytes)
	}
	if !f.past.free.TryAcquire(bytes) {
		t.Error("something was not given back")
	}
}

// Who waits for a share ends with his context, and takes nothing with him; who has kept one for long is told.
func TestAReaderWaitsForItsShareNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.sayLarge(4)
	f := w.tight(maxShare)
	slow, waits := w.readerOf(f, 0), w.readerOf(f, 0)
	if b, err := slow.Next(t.Context()); err != nil || len(b.Events) == 0 {
		t.Fatalf("%d events, %v", len(b.Events), err)
	}
	if slow.Late(1) {
		t.Error("nobody waits, and it is late")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := waits.Next(ctx); ended <- err }()
	w.eventually("late", func() bool { return slow.Late(1) })
	cancel()
	if err := <-ended; !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if slow.Late(1) || waits.At() != 0 {
		t.Error("somebody waits still")
	}
	if _, _, err := f.Keep(ctx, 1); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("one event: %v", err)
	}
	slow.Close()
	if got := w.collect(waits, 4); !slices.Equal(got, to(1, 4)) {
		t.Errorf("%v", got)
	}
	waits.Close()
	st, giveBack, err := f.Keep(t.Context(), 2)
	if err != nil || st.Seq != 2 || f.past.free.TryAcquire(maxShare) {
		t.Fatalf("%+v, %v, or its share was not taken", st, err)
	}
	giveBack()
	if _, _, err := f.Keep(t.Context(), 5); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("an event that is not there: %v", err)
	}
	if !f.past.free.TryAcquire(maxShare) {
		t.Error("something was not given back")
	}
}

// Who is slow in the ring keeps little of what it has forgotten, and is told.
func TestAReaderOfTheRingKeepsLittle(t *testing.T) {
	t.Parallel()
	f := New(nil, nil, Options{})
	f.begin(stream.Info{Created: time.Unix(1, 0), Last: 10})
	r, _, _ := f.Reader(t.Context(), 10)
	add := func(n int) {
		for range n {
			f.add(&stream.Stored{Seq: f.last + 1, Raw: make([]byte, stream.PageBytes/4)})
		}
	}
	add(10)
	b, err := r.Next(t.Context())
	if err != nil || len(b.Events) != 4 || r.At() != 14 || r.Late(11) {
		t.Errorf("%d events, at %d, %v", len(b.Events), r.At(), err)
	}
	add(maxBytes / (stream.PageBytes / 4))
	if !r.Late(11) {
		t.Error("the ring has forgotten what it was handed, and it is not late")
	}
	held := r.room
	r.Close()
	if slices.ContainsFunc(held, func(st *stream.Stored) bool { return st != nil }) {
		t.Error("events that nobody else has were kept")
	}
}

// A webhook keeps what it was handed for as long as its receiver is away, so that all of them must have room.
func TestEveryWebhookHasItsShare(t *testing.T) {
	t.Parallel()
	if contract.MaxWebhooks*maxShare > DefaultPastBytes {
		t.Errorf("%d webhooks with %d bytes each", contract.MaxWebhooks, maxShare)
	}
}
