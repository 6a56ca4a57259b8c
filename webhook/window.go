package webhook

import (
	"cmp"
	"slices"
)

// Limits of what is on its way to one webhook.
const (
	maxOnTheWay   = 256
	bytesOnTheWay = 8 << 20
)

// window is what is on its way, in the order of the log, and so how far all of it has come.
type window struct {
	items []item // ascending; the first is open, and of two neighbours one is: they are few, whatever is refused
	mark  uint64 // everything up to here has arrived, was not wanted, or was set aside
	open  int
	bytes int // of those that are open
}

type item struct {
	seq   uint64 // of what is over: the last of a run
	bytes int
	over  bool
}

// room tells whether one more may be sent; there is always room for one. What has arrived takes none: one that is
// refused for days holds up its own job alone.
func (w *window) room() bool {
	return w.open == 0 || w.open < maxOnTheWay && w.bytes < bytesOnTheWay
}

func (w *window) add(seq uint64, bytes int) {
	w.items = append(w.items, item{seq: seq, bytes: bytes})
	w.open++
	w.bytes += bytes
}

// pass notes a sequence up to which nobody waits for what follows the last one.
func (w *window) pass(seq uint64) {
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
