package aggregator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tallyman/contract"
)

// maxRolled is how many old windows one event may roll up, so that one event never fills a batch.
const maxRolled = 4

// maxPages is for how many documents of the books a batch leaves room when one more event is folded. One
// event changes a handful, unless its voice names another queue for a job that has lived through many windows:
// then some wait for the next commit.
const maxPages = 64

// windows are the books by time. A mark stands in exactly one window: of a minute, an hour or a day, by how
// old it is; what gets older is rolled up into the next longer one. So sixty minutes and what else stands
// in their hour are the hour, whenever they were rolled up, and no order of events can be seen in it.
type windows struct {
	names  []string // of the books, by slot: which of two windows is rolled up first must not depend on slots
	pages  map[shelf]*page
	oldest [3]heap[entryAt] // by span
	floors [3]int64         // where the oldest window begins that is not to be rolled up
	until  int64            // the floors hold until the horizon comes here
	last   *page            // the last that was put into: most marks come in order
	fresh  []*page          // changed, and not known to be in the bucket
}

// shelf is where a window is kept. Windows that are far enough from one another share one, and the key of
// their document, so that there are never more of these than can be kept.
type shelf struct {
	span uint8
	at   uint16
	slot uint16
}

// page is one window of one book: the keys that are not 0, ascending. They are the cells, then how long each
// stage took in all, then the buckets of the stages.
type page struct {
	shelf
	begin  int64
	keys   []key
	counts []int64
	change
}

type entryAt struct {
	begin int64
	name  string
	shelf shelf
}

const (
	firstTotal  = firstStage
	firstBucket = firstTotal + key(contract.Stages)
)

func newWindows() windows {
	w := windows{pages: make(map[shelf]*page)}
	for i := range w.oldest {
		w.oldest[i] = heap[entryAt]{less: func(a, b entryAt) bool {
			return cmp.Or(cmp.Compare(a.begin, b.begin), strings.Compare(a.name, b.name)) < 0
		}}
	}
	return w
}

// advance moves the floors with the horizon, and rolls up some of what is below them.
func (w *windows) advance(horizon int64, seq uint64) {
	if horizon >= w.until {
		w.until = contract.Hour.Begin(horizon) + contract.Hour.Length().Milliseconds()
		for i, s := range contract.Spans() {
			w.floors[i] = s.Floor(horizon)
		}
	}
	for i := range w.oldest {
		h := &w.oldest[i]
		for n := 0; n < maxRolled && len(h.items) > 0 && h.items[0].begin < w.floors[i]; {
			e := h.pop()
			if p := w.pages[e.shelf]; p.begin == e.begin && len(p.keys) > 0 {
				w.roll(p, seq)
				n++
			}
		}
	}
}

// roll puts all of a window into the longer one that holds its time now, or drops it where there is none.
func (w *windows) roll(p *page, seq uint64) {
	if longer := max(int(p.span)+1, w.span(p.begin)); longer < len(w.floors) && len(p.keys) > 0 {
		if into := w.page(longer, p.begin, p.slot, seq); into != nil {
			for i, k := range p.keys {
				into.add(k, p.counts[i])
			}
			w.note(into, seq)
		}
	}
	p.keys, p.counts = p.keys[:0], p.counts[:0]
	w.note(p, seq)
}

// put puts a mark into its window, or with sign -1 takes it out.
func (w *windows) put(slot int, m *mark, sign int64, seq uint64) {
	p := w.last
	if p == nil || p.slot != uint16(slot) || p.span != 0 || m.at < p.begin || m.at-p.begin >= minuteMS || p.begin < w.floors[0] {
		if p = w.page(w.span(m.at), m.at, uint16(slot), seq); p == nil {
			return // so old that no window is kept
		}
		w.last = p
	}
	p.put(m, sign)
	w.note(p, seq)
}

func (p *page) put(m *mark, sign int64) {
	if m.key < firstStage {
		p.add(m.key, sign*m.n)
		return
	}
	stage := m.key - firstStage
	p.add(firstTotal+stage, sign*m.n)
	p.add(firstBucket+stage*contract.SketchBuckets+key(contract.SketchBucket(m.n)), sign)
}

var minuteMS = contract.Minute.Length().Milliseconds()

// span is how long the windows are that a moment is kept in.
func (w *windows) span(at int64) int {
	i := 0
	for i < len(w.floors)-1 && at < w.floors[i] {
		i++
	}
	return i
}

// page finds the window of a span that holds a moment, making it where there is none; nil below the floor of
// the longest. What stood at its place is far below the floor: it is rolled up first.
func (w *windows) page(span int, at int64, slot uint16, seq uint64) *page {
	if span == len(w.floors)-1 && at < w.floors[span] {
		return nil
	}
	s := spans[span]
	begin := s.Begin(at)
	where := shelf{uint8(span), s.Place(begin), slot}
	p := w.pages[where]
	switch {
	case p == nil:
		p = &page{shelf: where}
		w.pages[where] = p
	case p.begin == begin:
		return p
	default:
		w.roll(p, seq)
	}
	p.begin = begin
	w.oldest[span].push(entryAt{begin, w.names[where.slot], where})
	return p
}

var spans = contract.Spans()

// add adds n to a key, and keeps no key that is 0.
func (p *page) add(k key, n int64) {
	i, found := slices.BinarySearch(p.keys, k)
	switch {
	case n == 0: // a stage that took no time
	case !found:
		p.keys, p.counts = slices.Insert(p.keys, i, k), slices.Insert(p.counts, i, n)
	case p.counts[i]+n == 0:
		p.keys, p.counts = slices.Delete(p.keys, i, i+1), slices.Delete(p.counts, i, i+1)
	default:
		p.counts[i] += n
	}
}

func (w *windows) note(p *page, seq uint64) {
	p.seq = seq
	if !p.listed {
		p.listed = true
		w.fresh = append(w.fresh, p)
	}
}

// document is the window as others read it.
func (p *page) document(queue, typ string) contract.Book {
	d := contract.Book{V: contract.BookVersion, Queue: queue, Type: typ, Span: spans[p.span], At: contract.AtMilli(p.begin)}
	for i, k := range p.keys {
		n := p.counts[i]
		switch {
		case k < firstTotal:
			d.Sums[k] = n
		case k < firstBucket:
			d.Latency[k-firstTotal].Total = n
		default:
			k -= firstBucket
			l := &d.Latency[k/contract.SketchBuckets]
			l.Buckets = append(l.Buckets, int64(k%contract.SketchBuckets), n)
		}
	}
	return d
}

// read takes a window in as it was written.
func (w *windows) read(d *contract.Book, slot int) error {
	span := slices.Index(spans, d.Span)
	begin := milli(d.At)
	if span < 0 || begin == 0 || begin != d.Span.Begin(begin) {
		return fmt.Errorf("%s: there is no window of a %q at %s", d.Key(), d.Span, d.At)
	}
	where := shelf{uint8(span), d.Span.Place(begin), uint16(slot)}
	p := &page{shelf: where, begin: begin}
	for i, n := range d.Sums {
		if n != 0 {
			p.add(key(i), n)
		}
	}
	for i := range d.Latency {
		l := &d.Latency[i]
		if l.Total != 0 {
			p.add(firstTotal+key(i), l.Total)
		}
		for at := 0; at < len(l.Buckets); at += 2 {
			p.add(firstBucket+key(i)*contract.SketchBuckets+key(l.Buckets[at]), l.Buckets[at+1])
		}
	}
	if len(p.keys) > 0 { // an empty one was rolled up, or nothing is left in it
		w.pages[where] = p
		w.oldest[span].push(entryAt{begin, w.names[where.slot], where})
	}
	return nil
}
