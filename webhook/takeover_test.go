package webhook

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/feed"
	"tallyman/internal/stream"
)

// reads counts what is read of the past.
type reads struct {
	feed.Log
	events atomic.Int64
}

func (r *reads) Page(ctx context.Context, from uint64, limit int) ([]stream.Stored, error) {
	page, err := r.Log.Page(ctx, from, limit)
	r.events.Add(int64(len(page)))
	return page, err
}

// Who takes over goes on with what was not taken, in order for each job, and neither posts nor reads again what
// arrived behind it.
func TestATakeoverGoesOnWithWhatIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stuck := contract.KeyID("test", "0")
	w.answerWith(func(a arrival, _ int) int {
		if a.job == stuck {
			return 400
		}
		return 200
	})
	stop := w.begun()
	const others = 2000
	w.say(0, 0, contract.Queued)
	for job := range others {
		w.say(1+job, 0, contract.Queued)
	}
	w.say(0, 0, contract.Queued)
	const last = others + 2
	w.eventually("all others are noted", func() bool {
		s, _ := w.state()
		return s.Delivered == others && s.Reached == last && !s.Open[0].Since.IsZero()
	})
	s, _ := w.state()
	if s.Seq != 0 || len(s.Open) != 2 || s.Open[0].Seq != 1 || s.Open[1].Seq != last || !s.Open[1].Since.IsZero() {
		t.Errorf("%+v", s)
	}
	stop()
	before := len(w.arrived())
	w.answerWith(func(arrival, int) int { return 200 })
	w.say(0, 0, contract.Queued)
	w.say(1, 0, contract.Queued)
	events := &reads{}
	w.run(func(o *Options) { events.Log, o.Events = o.Events, events })
	if s := w.noted(last + 2); s.Delivered != others+4 || s.Reached != 0 || s.Open != nil {
		t.Errorf("%+v", s)
	}
	var ours, rest []int
	for _, a := range w.arrived()[before:] {
		if a.job == stuck {
			ours = append(ours, a.seq)
		} else {
			rest = append(rest, a.seq)
		}
	}
	if !slices.Equal(ours, []int{1, last, last + 1}) || !slices.Equal(rest, []int{last + 2}) {
		t.Errorf("of the job that was refused %v, of others %v", ours, rest)
	}
	if n := events.events.Load(); n > others/2 {
		t.Errorf("%d events were read for 2 that are open and 2 that are new", n)
	}
}

// Each event that is refused is set aside after retryFor, whoever leads in that time.
func TestEachIsRefusedForAsLongAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var later atomic.Int64
	change := func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}
	w.answerWith(func(arrival, int) int { return 400 })
	stop := w.begun(change)
	const all = 3
	for job := range all {
		w.say(job, 0, contract.Queued)
	}
	var first contract.WebhookState
	w.eventually("each is refused", func() bool {
		first, _ = w.state()
		return len(first.Open) == all && !slices.ContainsFunc(first.Open, func(o contract.WebhookOpen) bool { return o.Since.IsZero() })
	})
	stop()
	later.Add(int64(40 * time.Hour))
	before := len(w.arrived())
	stop = w.run(change)
	w.eventually("each is refused again, and that is noted", func() bool {
		tries := make(map[int]int)
		for _, a := range w.arrived()[before:] {
			tries[a.seq]++
		}
		s, _ := w.state()
		return tries[1] > 1 && tries[2] > 1 && tries[3] > 1 && s.Failing.NextAt.After(first.Failing.NextAt.Add(30*time.Hour))
	})
	if s, _ := w.state(); !slices.Equal(s.Open, first.Open) {
		t.Errorf("%v, was %v: the time it is refused for begins anew with each leader", s.Open, first.Open)
	}
	stop()
	later.Add(int64(40 * time.Hour))
	w.run(change)
	if s := w.noted(all); s.SetAside != all || s.Open != nil {
		t.Errorf("%+v", s)
	}
}

// A record of a version that names only the first that is refused says no more than it did.
func TestARecordOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.begun()
	for job := range 4 {
		w.say(job, 0, contract.Queued)
	}
	w.noted(4)
	stop()
	since := contract.At(time.Now().Add(-time.Hour))
	w.alter(func(s map[string]any) {
		delete(s, "reached")
		delete(s, "open")
		s["seq"], s["failing"] = 1, contract.WebhookFailure{Seq: 3, Since: since, Tries: 1, NextAt: since}
	})
	w.answerWith(func(a arrival, _ int) int {
		if a.seq == 3 {
			return 400
		}
		return 200
	})
	w.run()
	w.eventually("2 and 4 again", func() bool { s, _ := w.state(); return s.Delivered == 6 && s.Failing != nil })
	if s, _ := w.state(); !s.Failing.Since.Equal(since.Time) || len(s.Open) != 1 || !s.Open[0].Since.Equal(since.Time) {
		t.Errorf("%+v: refused since %s", s, since)
	}
}

// Of a stream that was set back to an older copy, the record speaks of events that will be others.
func TestAStreamThatLostItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.begun()
	for job := range 4 {
		w.say(job, 0, contract.Queued)
	}
	w.noted(4)
	stop()
	w.alter(func(s map[string]any) {
		s["seq"], s["reached"], s["open"] = 1, 9, []contract.WebhookOpen{{Seq: 2}, {Seq: 8}}
	})
	before := len(w.arrived())
	w.run()
	w.noted(4)
	for job := range 6 {
		w.say(job, 0, contract.Queued)
	}
	w.noted(10)
	got := seqs(w.arrived()[before:])
	if slices.Sort(got); !slices.Equal(got, to(2, 10)) {
		t.Errorf("%v", got)
	}
}

// alter changes the record behind everybody's back.
func (w *world) alter(change func(map[string]any)) {
	w.t.Helper()
	e, err := w.records.Get(w.t.Context(), contract.WebhookStateKey("ours"))
	if err != nil {
		w.t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(e.Value)))
	d.UseNumber()
	var s map[string]any
	if err := d.Decode(&s); err != nil {
		w.t.Fatal(err)
	}
	change(s)
	b, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.records.Put(w.t.Context(), contract.WebhookStateKey("ours"), b); err != nil {
		w.t.Fatal(err)
	}
}
