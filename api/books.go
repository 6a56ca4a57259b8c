package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// books is what the aggregator's documents say of all jobs: the answer of GET /jobs/stats ready to be sent,
// and what is needed to answer for one queue, one type or one time. They are of one commit: what comes
// before its stats is held back until those come.
type books struct {
	mu      sync.RWMutex
	shown   contract.Stats // of everything
	kept    map[string]*contract.Book
	waiting map[string]*contract.Book // nil values: gone
	more    chan struct{}             // closed and made anew with the next stats
}

func newBooks() *books {
	return &books{
		kept: make(map[string]*contract.Book), waiting: make(map[string]*contract.Book), more: make(chan struct{}), shown: noStats(),
	}
}

// noStats are those of no job.
func noStats() contract.Stats {
	return contract.Stats{
		Balanced: true, Failures: map[contract.Reason]int{}, ByQueue: map[string]contract.Sum{}, ByType: map[string]contract.Sum{},
	}
}

// drop leaves what a new process begins with, and the audit, which is of another bucket.
func (b *books) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	audit := b.shown.Audit
	b.shown = noStats()
	b.shown.Audit = audit
	clear(b.kept)
	clear(b.waiting)
	close(b.more)
	b.more = make(chan struct{})
}

// isBook tells whether a key of the bucket "jobs" is a book's or a window's.
func isBook(key string) bool {
	return strings.HasPrefix(key, "book.") || strings.HasPrefix(key, "window.")
}

// take holds a book back until the stats of its commit come.
func (b *books) take(e stream.Entry) error {
	var d *contract.Book
	if !e.Deleted {
		d = new(contract.Book)
		if err := json.Unmarshal(e.Value, d); err != nil {
			return fmt.Errorf("%s: %w", e.Key, err)
		}
	}
	b.waiting[e.Key] = d
	return nil
}

// show turns to the commit whose stats these are.
func (b *books) show(value []byte) error {
	var s contract.Stats
	if err := json.Unmarshal(value, &s); err != nil {
		return fmt.Errorf("%s: %w", contract.KeyStats, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Audit = b.shown.Audit
	b.shown = s
	for key, d := range b.waiting {
		if d == nil || d.Span != "" && d.Empty() { // rolled up
			delete(b.kept, key)
		} else {
			b.kept[key] = d
		}
	}
	clear(b.waiting)
	close(b.more)
	b.more = make(chan struct{})
	return nil
}

// asOf is how far the books have come.
func (b *books) asOf() contract.AsOf {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.shown.AsOf
}

// audited shows another audit; nil: there is none.
func (b *books) audited(a *contract.Audit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown.Audit = a
	close(b.more)
	b.more = make(chan struct{})
}

// keptSince is from when on ended jobs have their documents, in milliseconds; 0: not known.
func (b *books) keptSince() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.shown.Kept.Jobs.IsZero() {
		return 0
	}
	return b.shown.Kept.Jobs.UnixMilli()
}

// next is closed when there are other stats than now.
func (b *books) next() <-chan struct{} {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.more
}

// slice is which part of the books is asked for. Times are milliseconds, 0 where they are open.
type slice struct {
	queue, jobType string
	since, until   int64
	step           contract.Span // "": no series
}

func (q *slice) whole() bool { return *q == slice{} }

func (q *slice) wants(d *contract.Book) bool {
	return (q.queue == "" || q.queue == d.Queue) && (q.jobType == "" || q.jobType == d.Type)
}

// tooOld is a time of which no windows are kept any more.
type tooOld struct{ kept contract.Time }

func (e *tooOld) Error() string { return "no windows are kept of the time before " + e.kept.String() }

// answer gives the stats of a slice. A window is widened to whole ones, as they are kept of its time.
func (b *books) answer(q slice) (contract.Stats, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := b.shown
	if q.whole() {
		return s, nil
	}
	kept := &b.shown.Kept
	if q.since != 0 || q.until != 0 || q.step != "" {
		if day := kept.Day.UnixMilli(); q.since != 0 && q.since < day || q.until != 0 && q.until < day {
			return s, &tooOld{kept.Day}
		}
		s.Window = &contract.Window{}
		if q.since != 0 {
			q.since = spanOf(kept, q.since).Begin(q.since)
			s.Window.Since = contract.AtMilli(q.since)
		}
		if q.until != 0 {
			span := spanOf(kept, q.until-1)
			q.until = span.Begin(q.until-1) + span.Length().Milliseconds()
			s.Window.Until = contract.AtMilli(q.until)
		}
	}
	parts := b.parts(&q)
	var total contract.Totals
	for _, p := range parts {
		total.Add(&p.book.Figures, p.sign)
	}
	total.Show(&s)
	s.ByQueue = sumsBy(parts, func(d *contract.Book) string { return d.Queue })
	s.ByType = sumsBy(parts, func(d *contract.Book) string { return d.Type })
	if q.step != "" {
		s.Series = b.series(&q)
	}
	return s, nil
}

// spanOf is the shortest span whose windows are kept of a moment.
func spanOf(kept *contract.Kept, at int64) contract.Span {
	for _, s := range contract.Spans() {
		if at >= kept.Of(s).UnixMilli() {
			return s
		}
	}
	return contract.Day
}

// part is a book that is added to an answer, or with sign -1 taken off.
type part struct {
	book *contract.Book
	sign int64
}

// parts are the books that make up a slice: its windows; or where it is open to the past everything, less
// the windows that come after it.
func (b *books) parts(q *slice) (parts []part) {
	for _, d := range b.kept {
		if !q.wants(d) {
			continue
		}
		at := d.At.UnixMilli()
		switch later := q.until != 0 && at >= q.until; {
		case d.Span == "" && q.since == 0, d.Span != "" && q.since != 0 && at >= q.since && !later:
			parts = append(parts, part{d, 1})
		case d.Span != "" && q.since == 0 && later:
			parts = append(parts, part{d, -1})
		}
	}
	return parts
}

func sumsBy(parts []part, name func(*contract.Book) string) map[string]contract.Sum {
	return contract.SumsBy(func(yield func(string, *contract.Sums) bool) {
		for _, p := range parts {
			var s contract.Sums
			s.Add(&p.book.Sums, p.sign)
			if !yield(name(p.book), &s) {
				return
			}
		}
	})
}

// series are the windows of a slice one by one, those that hold anything. Where only longer ones than asked
// for are kept, they are those.
func (b *books) series(q *slice) []contract.Point {
	var windows []*contract.Book
	for _, d := range b.kept {
		at := d.At.UnixMilli()
		if d.Span != "" && q.wants(d) && at >= q.since && (q.until == 0 || at < q.until) {
			windows = append(windows, d)
		}
	}
	slices.SortFunc(windows, func(a, b *contract.Book) int { return cmp.Compare(a.At.UnixMilli(), b.At.UnixMilli()) })
	points := []contract.Point{}
	var total contract.Totals
	for i, d := range windows {
		at := d.At.UnixMilli()
		span := spanOf(&b.shown.Kept, at)
		if span.Length() < q.step.Length() {
			span = q.step
		}
		begin := contract.AtMilli(span.Begin(at))
		if i == 0 || begin != points[len(points)-1].At {
			total = contract.Totals{}
			points = append(points, contract.Point{At: begin, Span: span})
		}
		total.Add(&d.Figures, 1)
		total.Point(&points[len(points)-1])
	}
	return points
}
