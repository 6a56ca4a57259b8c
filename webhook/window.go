package webhook

import (
	"cmp"
	"slices"
	"time"

	"tallyman/contract"
)

// Limits of what is on its way to one webhook, and to all of them together.
const (
	maxOnTheWay   = contract.MaxWebhookOpen // for the record names each
	bytesOnTheWay = 8 << 20
	bytesOfAll    = 64 << 20
)

// bytesOf is the part that each of so many webhooks has.
func bytesOf(hooks int) int { return min(bytesOnTheWay, bytesOfAll/hooks) }

// window is what is on its way, in the order of the log, and so how far all of it has come.
type window struct {
	items []item // ascending; the first is open, and of two neighbours one is: they are few, whatever is refused
	mark  uint64 // everything up to here has arrived, was not wanted, or was set aside
	open  int
	bytes int // of those that are open
	most  int // bytes that there is room for

	reached uint64                 // as the record says that it began with
	noted   []contract.WebhookOpen // what was open then, and has not been handed out again
}

type item struct {
	seq   uint64 // of what is over: the last of a run
	bytes int
	since time.Time // when it was refused first; zero: it was not
	over  bool
}

// newWindow is that of the one who goes on from a record.
func newWindow(s *contract.WebhookState, most int) window {
	w := window{mark: s.Seq, most: most, reached: s.Reached, noted: s.Open}
	if len(s.Open) == 0 && s.Failing != nil { // by a version that names no more than this one
		w.noted = []contract.WebhookOpen{{Seq: s.Failing.Seq, Since: s.Failing.Since}}
	}
	w.forget(s.Seq)
	return w
}

// note says in the record how far all of it has come.
func (w *window) note(s *contract.WebhookState) {
	s.Seq, s.Reached, s.Open = w.mark, w.reached, nil
	for _, it := range w.items {
		s.Reached = max(s.Reached, it.seq)
		if !it.over {
			s.Open = append(s.Open, contract.WebhookOpen{Seq: it.seq, Since: contract.At(it.since)})
		}
	}
	s.Open = append(s.Open, w.noted...)
	if s.Reached <= s.Seq {
		s.Reached = 0
	}
}

// passed is up to where everything is over that has not been handed out again, says the record that it began with.
func (w *window) passed() uint64 {
	if len(w.noted) > 0 {
		return min(w.reached, w.noted[0].Seq-1)
	}
	return w.reached
}

// forget lets go of what was noted up to a sequence.
func (w *window) forget(seq uint64) {
	for len(w.noted) > 0 && w.noted[0].Seq <= seq {
		w.noted = w.noted[1:]
	}
}

// room tells whether one more may be sent; there is always room for one. What has arrived takes none: one that is
// refused for days holds up its own job alone.
func (w *window) room() bool {
	return w.open == 0 || w.open < maxOnTheWay && w.bytes < w.most
}

// add notes an event that is handed out, and gives since when it has been refused, where another has seen that.
func (w *window) add(seq uint64, bytes int) (since time.Time) {
	if len(w.noted) > 0 && w.noted[0].Seq == seq {
		since = w.noted[0].Since.Time
	}
	w.forget(seq)
	w.items = append(w.items, item{seq: seq, bytes: bytes, since: since})
	w.open++
	w.bytes += bytes
	return since
}

// pass notes a sequence up to which nobody waits for what follows the last one.
func (w *window) pass(seq uint64) {
	w.forget(seq)
	n := len(w.items)
	switch {
	case n == 0:
		w.mark = max(w.mark, seq)
	case seq <= w.items[n-1].seq: // nothing new
	case w.items[n-1].over:
		w.items[n-1].seq = seq
	default:
		w.items = append(w.items, item{seq: seq, over: true})
	}
}

// refused notes since when an event that is on its way has been refused.
func (w *window) refused(seq uint64, since time.Time) {
	if i, found := w.find(seq); found && !w.items[i].over {
		w.items[i].since = since
	}
}

// done notes that an event is on its way no more.
func (w *window) done(seq uint64) {
	i, found := w.find(seq)
	if !found || w.items[i].over {
		return
	}
	w.open, w.bytes = w.open-1, w.bytes-w.items[i].bytes
	w.items[i] = item{seq: seq, over: true}
	if i+1 < len(w.items) && w.items[i+1].over {
		w.items = slices.Delete(w.items, i, i+1)
	}
	if i > 0 && w.items[i-1].over {
		w.items = slices.Delete(w.items, i-1, i)
	}
	if w.items[0].over {
		w.mark = w.items[0].seq
		w.items = slices.Delete(w.items, 0, 1)
	}
}

func (w *window) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(w.items, seq, func(it item, seq uint64) int { return cmp.Compare(it.seq, seq) })
}
