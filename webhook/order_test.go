package webhook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/feed"
	"tallyman/internal/stream"
)

// noInfo is a stream that does not tell where it ends while it is away.
type noInfo struct {
	feed.Log
	away  atomic.Bool
	asked chan struct{}
}

func (n *noInfo) Info(ctx context.Context) (stream.Info, error) {
	if !n.away.Load() {
		return n.Log.Info(ctx)
	}
	select {
	case n.asked <- struct{}{}:
	default:
	}
	return stream.Info{}, stream.ErrUnavailable
}

// An order that was taken while NATS was away is followed once it is back: it was answered with a 202.
func TestAnOrderOutlivesAFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	events := &noInfo{asked: make(chan struct{}, 1)}
	w.begun(func(o *Options) { events.Log, o.Events = o.Events, events })
	w.say(1, 0, contract.Queued)
	w.noted(1)
	events.away.Store(true)
	w.order("far", 7)
	<-events.asked
	events.away.Store(false)
	w.eventually("the order is followed", func() bool { s, _ := w.state(); return s.Order == "far" })
	w.order("back", 1) // and let go of: a newer one stands
	w.eventually("the next order is followed", func() bool { s, _ := w.state(); return s.Order == "back" && s.Seq == 1 })
	if got := seqs(w.arrived()); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("%v", got)
	}
}

// An order ends what is on its way, so that a backlog that nobody wants can be passed.
func TestAnOrderPassesABacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answerWith(func(arrival, int) int { return 500 })
	w.begun(func(o *Options) { o.FirstBackoff, o.MaxBackoff = time.Hour, time.Hour })
	for n := range 10 {
		w.say(n, 0, contract.Queued)
	}
	w.eventually("refused", func() bool { s, _ := w.state(); return s.Failing != nil })
	w.answerWith(func(arrival, int) int { return 200 })
	w.order("skip", 11)
	if s := w.noted(10); s.Failing != nil {
		t.Errorf("%+v", s.Failing)
	}
}

// One event that its receiver will never take holds up its own job and no other, for as long as it is tried.
func TestOneThatIsRefusedHoldsUpItsJobAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook.Events = []contract.Kind{contract.Queued, contract.Failed}
	w.answerWith(func(a arrival, _ int) int {
		if a.seq == 1 {
			return 400
		}
		return 200
	})
	w.begun()
	w.say(0, 0, contract.Queued)
	w.say(0, 0, contract.Failed)
	const others = 2 * maxOnTheWay
	for job := range others {
		w.say(1+job, 0, contract.Queued)
		w.say(1+job, 1, contract.Claimed) // that it does not want
	}
	w.eventually("all others are taken", func() bool { s, _ := w.state(); return s.Delivered == others })
	for _, a := range w.arrived() {
		if a.seq == 2 {
			t.Error("the next of the job came though the first was refused")
		}
	}
	if s, _ := w.state(); s.Seq != 0 || s.Failing == nil || s.Failing.Seq != 1 {
		t.Errorf("%+v", s)
	}
	w.answerWith(func(arrival, int) int { return 200 })
	if s := w.noted(2 + 2*others); s.Failing != nil || s.Delivered != 2+others {
		t.Errorf("%+v", s)
	}
}

// Of many webhooks, whose receivers may all be away at a time, each has its part of the memory.
func TestWebhooksShareTheirRoom(t *testing.T) {
	t.Parallel()
	for hooks := 1; hooks <= contract.MaxWebhooks; hooks++ {
		if n := bytesOf(hooks); n > bytesOnTheWay || n*hooks > bytesOfAll || n < contract.MaxEventBytes {
			t.Errorf("each of %d webhooks has %d bytes", hooks, n)
		}
	}
	w := newWorld(t)
	w.answerWith(func(arrival, int) int { return 500 })
	w.begun(func(o *Options) {
		o.FirstBackoff, o.MaxBackoff = time.Hour, time.Hour
		for n := range contract.MaxWebhooks - 1 {
			other := w.hook
			other.Name, other.Queues = fmt.Sprint("other", n), []string{"nobodys"}
			o.Hooks = append(o.Hooks, other)
		}
	})
	part := bytesOf(contract.MaxWebhooks)
	size := w.sayLarge(2 * part)
	w.eventually("its part is full", func() bool { s, _ := w.state(); return len(s.Open)*size >= part })
	if s, _ := w.state(); (len(s.Open)-1)*size >= part {
		t.Errorf("%d events of %d bytes are on their way", len(s.Open), size)
	}
}

// sayLarge says so many bytes of events of as many jobs, and gives what one weighs.
func (w *world) sayLarge(bytes int) (size int) {
	w.t.Helper()
	at := contract.At(time.Now())
	result := []byte(`"` + strings.Repeat("x", contract.MaxResultBytes-2) + `"`)
	for said := 0; said < bytes; said += size {
		seq, err := w.stream.Publish(w.t.Context(), contract.Event{
			Kind: contract.Succeeded, Source: contract.SourceProcessor, Time: at, Queue: "default", Type: "probe",
			JobID: contract.KeyID("test", fmt.Sprint("large", said)), Run: 1, Attempt: 1, SubmittedAt: at, Result: result,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		st, err := w.stream.Event(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		size = len(st.Raw)
	}
	return size
}
