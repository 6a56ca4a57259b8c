package webhook

// Limits of what is on its way to one webhook.
const (
	maxOnTheWay   = 256
	bytesOnTheWay = 8 << 20
)

// window is what is on its way, in the order of the log, and so how far all of it has come.
type window struct {
	items []item // ascending
	mark  uint64 // everything up to here has arrived, was not wanted, or was set aside
	bytes int
}

type item struct {
	seq   uint64
	bytes int
	over  bool
}

// room tells whether one more may be sent; there is always room for one.
func (w *window) room() bool {
	return len(w.items) == 0 || len(w.items) < maxOnTheWay && w.bytes < bytesOnTheWay
}

func (w *window) add(seq uint64, bytes int) {
	w.items = append(w.items, item{seq: seq, bytes: bytes})
	w.bytes += bytes
}

// pass notes a sequence that nobody waits for.
func (w *window) pass(seq uint64) {
	if len(w.items) == 0 {
		w.mark = seq
		return
	}
	if last := &w.items[len(w.items)-1]; last.over && last.bytes == 0 {
		last.seq = seq // a run of them is one item
		return
	}
	w.items = append(w.items, item{seq: seq, over: true})
}

// done notes that an event is on its way no more.
func (w *window) done(seq uint64) {
	for i := range w.items {
		if w.items[i].seq == seq {
			w.items[i].over = true
			break
		}
	}
	for len(w.items) > 0 && w.items[0].over {
		w.mark, w.bytes = w.items[0].seq, w.bytes-w.items[0].bytes
		w.items = w.items[1:]
	}
}
