package webhook

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tallyman/contract"
)

// The mark is behind everything that is on its way, and behind nothing else.
func TestMarkIsTheEarliestOnItsWay(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	w := window{most: bytesOnTheWay}
	open := make(map[uint64]bool)
	last := uint64(0)
	for range 20_000 {
		switch n := random.IntN(10); {
		case n < 3:
			last++
			w.pass(last)
		case n < 6 && w.room():
			last++
			open[last] = true
			w.add(last, 100)
		default:
			for seq := range open {
				delete(open, seq)
				w.done(seq)
				break
			}
		}
		want := last
		for seq := range open {
			want = min(want, seq-1)
		}
		if w.mark != want {
			t.Fatalf("mark %d, want %d: %v", w.mark, want, w.items)
		}
		if w.open != len(open) || w.bytes != 100*len(open) || len(w.items) > 2*len(open) {
			t.Fatalf("%d items, %d open with %d bytes, of %d", len(w.items), w.open, w.bytes, len(open))
		}
	}
	for seq := range open {
		w.done(seq)
	}
	if w.mark != last || w.open != 0 || w.bytes != 0 || len(w.items) != 0 {
		t.Errorf("mark %d of %d, %d bytes", w.mark, last, w.bytes)
	}
}

// What is not on its way takes no room and no memory, however much of it there is behind one that is.
func TestOnlyWhatIsOnItsWayTakesRoom(t *testing.T) {
	t.Parallel()
	w := window{most: bytesOnTheWay}
	w.add(1, 100)
	for seq := uint64(2); seq < 10_000; seq++ {
		if !w.room() {
			t.Fatalf("no room for %d, and only the first is on its way", seq)
		}
		if seq%3 == 0 {
			w.pass(seq)
			w.pass(seq) // as when nothing has come since
			continue
		}
		w.add(seq, bytesOnTheWay/1000)
		w.done(seq)
	}
	if w.mark != 0 || w.bytes != 100 || len(w.items) != 2 {
		t.Errorf("mark %d, %d bytes, %v", w.mark, w.bytes, w.items)
	}
	w.done(1)
	if w.mark != 9999 || w.bytes != 0 || len(w.items) != 0 {
		t.Errorf("mark %d, %d bytes, %v", w.mark, w.bytes, w.items)
	}
}

func TestThereIsAlwaysRoomForOne(t *testing.T) {
	t.Parallel()
	w := window{most: bytesOnTheWay}
	w.add(1, 2*bytesOnTheWay)
	if w.room() {
		t.Error("room beside one that is too large")
	}
	w.done(1)
	if !w.room() {
		t.Error("no room")
	}
}

// books is what has become of each event, held to what a record says.
type books struct {
	t     *testing.T
	taken map[uint64]bool // or not wanted
	fresh map[uint64]bool // taken since the record was written
	since map[uint64]time.Time
}

func (b *books) holdTo(s *contract.WebhookState) {
	b.t.Helper()
	open := make(map[uint64]bool)
	for i, o := range s.Open {
		if open[o.Seq] = true; i > 0 && o.Seq <= s.Open[i-1].Seq || o.Seq <= s.Seq || o.Seq > s.Reached {
			b.t.Fatalf("%d is open between %d and %d: %v", o.Seq, s.Seq, s.Reached, s.Open)
		}
		if !o.Since.Equal(b.since[o.Seq]) {
			b.t.Fatalf("%d is refused since %s, was %s", o.Seq, o.Since, b.since[o.Seq])
		}
	}
	if len(s.Open) > contract.MaxWebhookOpen {
		b.t.Fatalf("%d are open", len(s.Open))
	}
	for seq := uint64(1); seq <= max(s.Seq, s.Reached); seq++ {
		if !b.taken[seq] && !open[seq] {
			b.t.Fatalf("%d is over, and was not taken: %+v", seq, s)
		}
	}
}

// Whenever another takes over, it hands out what has not been taken, and again only what was taken since the record
// was written; and it knows since when each is refused.
func TestWhoTakesOverKnowsWhatIsOver(t *testing.T) {
	t.Parallel()
	const all = 3000
	random := rand.New(rand.NewPCG(3, 4))
	b := books{t: t, taken: make(map[uint64]bool), fresh: make(map[uint64]bool), since: make(map[uint64]time.Time)}
	var s contract.WebhookState
	w, at, open := newWindow(&s, bytesOnTheWay), uint64(0), []uint64(nil)
	handOut := func() {
		at = max(at, w.passed())
		w.pass(at)
		if at == all || !w.room() {
			return
		}
		if at++; at%5 == 0 { // not wanted
			b.taken[at] = true
			w.pass(at)
			return
		}
		if b.taken[at] {
			t.Fatalf("%d comes again", at)
		}
		if since := w.add(at, 1); !since.Equal(b.since[at]) {
			t.Fatalf("%d is refused since %s, was %s", at, since, b.since[at])
		}
		open = append(open, at)
	}
	for s.Seq < all {
		switch n := random.IntN(1000); {
		case n < 500:
			handOut()
		case n < 900 && len(open) > 1: // one stays refused
			i := 1 + random.IntN(len(open)-1)
			w.done(open[i])
			b.taken[open[i]], b.fresh[open[i]] = true, true
			open = slices.Delete(open, i, i+1)
		case n < 950 && len(open) > 0:
			seq := open[random.IntN(len(open))]
			if b.since[seq].IsZero() {
				b.since[seq] = time.UnixMilli(int64(seq))
			}
			w.refused(seq, b.since[seq])
		case n < 980:
			w.note(&s)
			b.holdTo(&s)
			clear(b.fresh)
		case n < 990: // what was not noted is lost
			maps.DeleteFunc(b.since, func(seq uint64, _ time.Time) bool {
				return !slices.ContainsFunc(s.Open, func(o contract.WebhookOpen) bool { return o.Seq == seq && !o.Since.IsZero() })
			})
			for seq := range b.fresh {
				b.taken[seq] = false // so it comes again
			}
			clear(b.fresh)
			w, at, open = newWindow(&s, bytesOnTheWay), s.Seq, nil
		case at == all && len(open) == 1:
			w.done(open[0])
			b.taken[open[0]], b.fresh[open[0]] = true, true
			open = nil
		}
	}
}

// What is open is named in a record that is small enough to be written twice a second.
func TestARecordIsSmall(t *testing.T) {
	t.Parallel()
	w := window{most: bytesOnTheWay}
	for seq := uint64(1); w.room(); seq++ {
		w.add(1e12+2*seq, 1)
		w.pass(1e12 + 2*seq + 1)
		w.refused(1e12+2*seq, time.Date(2026, 11, 21, 16, 0, 0, 123e6, time.UTC))
	}
	var s contract.WebhookState
	w.note(&s)
	b, err := json.Marshal(s)
	if err != nil || len(s.Open) != contract.MaxWebhookOpen || len(b) > 16<<10 {
		t.Errorf("%d bytes with %d that are open, %v", len(b), len(s.Open), err)
	}
}
