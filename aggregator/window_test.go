package aggregator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// years says lives of jobs over more time than windows are kept, and nearly now; then everything in disorder.
func (a *author) years(jobs int) {
	spread := []time.Duration{10 * time.Minute, 5 * time.Hour, 10 * 24 * time.Hour, 500 * 24 * time.Hour}
	for n := range jobs {
		first := len(a.all)
		a.life(testID(n), 1+a.rng.IntN(3), []contract.Kind{contract.Succeeded, contract.Failed}[a.rng.IntN(2)])
		ago := time.Duration(a.rng.Int64N(int64(spread[n%len(spread)])))
		for i := first; i < len(a.all); i++ {
			e := a.all[i].event
			e.Queue, e.Type = []string{"default", "mail"}[n%2], []string{"probe", "send"}[n/2%2]
			e.SubmittedAt, e.Time = contract.At(epoch.Add(-ago)), contract.At(e.Time.Add(-ago))
			a.all[i].stored = epoch.Add(time.Minute)
		}
	}
	a.units(jobs / 4)
	a.rng.Shuffle(len(a.all), func(i, j int) { a.all[i].event, a.all[j].event = a.all[j].event, a.all[i].event })
	for i := range a.all {
		a.all[i].stored = epoch.Add(time.Minute)
	}
}

// forever keeps every document, so that the windows can be made again from them.
var forever = rules{retention: 10 * 365 * 24 * time.Hour, window: DefaultWindow}

// plainWindows adds up the facts of all jobs by time, as they are known in the end.
func plainWindows(l *ledger) (docs []contract.Book) {
	var j job
	var t tally
	for _, p := range l.jobs {
		p.unpack(&j)
		t.count(&j)
		for _, m := range t.marks {
			if m.at == 0 {
				continue
			}
			var one contract.Totals
			m.into(&one, 1)
			docs = append(docs, contract.Book{
				Queue: l.queues.list[j.queue], Type: l.types.list[j.kind], Span: contract.Minute,
				At: contract.AtMilli(contract.Minute.Begin(m.at)), Figures: one.Figures(),
			})
		}
	}
	return docs
}

// Each window holds what happened in it by the facts as they are known, in whatever order they came, however
// often, and however often the ledger was loaded in between; nothing is in two.
func TestWindowsAreTheFactsByTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		a := newAuthor(seed)
		a.years(60)
		all := a.check(t)
		l, back := newLedger(forever), newLedger(forever)
		for i, s := range shuffled(all, a.rng) {
			s.seq = uint64(i + 1)
			fill(l, []said{s})
			fill(back, []said{s})
			if a.rng.IntN(40) == 0 {
				back = rebuild(t, back)
			}
		}
		kept := contract.KeptAt(l.horizon)
		got, want := make(map[string]string), showBooks(plainWindows(l), &kept)
		for key, text := range showBooks(allBooks(l), &kept) {
			if !strings.HasPrefix(key, "book.") && !strings.Contains(key, " "+contract.NoType+" ") {
				got[key] = text
			}
		}
		if d := cmp.Diff(want, got); d != "" || len(want) < 30 {
			t.Fatalf("seed %d: %d windows by the facts, and by the fold:\n%s", seed, len(want), d)
		}
		if d := cmp.Diff(view(t, l), view(t, back)); d != "" {
			t.Fatalf("seed %d: loaded in between it is another:\n%s", seed, d)
		}
		if d := cmp.Diff(physical(l), physical(back)); d != "" {
			t.Fatalf("seed %d: loaded in between, other documents:\n%s", seed, d)
		}
	}
}

// physical is every document of the windows that holds anything, as the bucket has it.
func physical(l *ledger) map[string]string {
	out := make(map[string]string)
	for _, d := range allBooks(l) {
		if d.Span != "" && !d.Empty() {
			out[d.Key()] = text(d)
		}
	}
	return out
}

// In every window the seed's identity holds and the states add up, and there are never more windows than are
// kept, however long it goes on.
func TestWindowsBalanceAndAreBounded(t *testing.T) {
	t.Parallel()
	a := newAuthor(5)
	a.years(400)
	l := newLedger(forever)
	for i, s := range a.check(t) {
		s.seq = uint64(i + 1)
		l.fold(s.seq, s.stored, s.event)
		if fresh := l.books.unsaved(); fresh > maxPages {
			t.Fatalf("one event changed %d documents", fresh)
		}
		l.books.saved(s.seq)
	}
	for n := range 3000 { // an event every six hours, for two years
		at := epoch.Add(time.Duration(n) * 6 * time.Hour)
		e := event(testID(9000+n), 1, 0, contract.Submitted, 0)
		e.Time, e.SubmittedAt = contract.At(at), contract.At(at)
		l.fold(l.seq+1, at, e)
		if n%500 != 0 {
			continue
		}
		kept := contract.KeptAt(l.horizon)
		for key, b := range showBooks(allBooks(l), &kept) {
			var f contract.Figures
			if err := json.Unmarshal([]byte(b), &f); err != nil {
				t.Fatal(err)
			}
			s := f.Sums.Sum()
			c := s.Attempts
			if s.JobRetry < 0 || c.Total != c.Running+c.Succeeded+c.Failed+c.Disrupted+c.Superseded {
				t.Fatalf("%s: %+v", key, s)
			}
			for _, n := range f.Sums {
				if n < 0 {
					t.Fatalf("%s holds less than nothing: %s", key, b)
				}
			}
		}
	}
	most := len(l.books.list) * (256 + 256 + 512)
	if n := len(l.books.windows.pages); n > most {
		t.Errorf("%d windows, at most %d are kept", n, most)
	}
	for i, h := range l.books.windows.oldest {
		if len(h.items) > 0 && h.items[0].begin < l.books.windows.floors[i]-spans[i].Length().Milliseconds() {
			t.Errorf("a %s of %s was not rolled up", spans[i], contract.AtMilli(h.items[0].begin))
		}
	}
}

// showBooks is what a reader makes of the books and the windows: of each time the shortest span that is kept
// of it. Where a window was rolled up, or when, cannot be seen in it.
func showBooks(docs []contract.Book, kept *contract.Kept) map[string]string {
	all := make(map[string]*contract.Totals)
	out := make(map[string]string)
	for i := range docs {
		d := &docs[i]
		key := d.Key()
		if d.Span != "" {
			span := contract.Day
			for _, s := range contract.Spans() {
				if !d.At.Before(kept.Of(s).Time) {
					span = s
					break
				}
			}
			if d.At.Before(kept.Day.Time) {
				continue // about to be dropped
			}
			key = fmt.Sprint(d.Queue, " ", d.Type, " ", span, " ", contract.AtMilli(span.Begin(d.At.UnixMilli())))
		} else if d.Retired != nil {
			out[key+" retired"] = text(d.Retired)
		}
		if all[key] == nil {
			all[key] = new(contract.Totals)
		}
		all[key].Add(&d.Figures, 1)
	}
	for key, t := range all {
		if *t != (contract.Totals{}) {
			f := t.Figures()
			out[key] = text(&f)
		}
	}
	return out
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A window that somebody altered shows when it is loaded, as long as the documents tell what it must be.
func TestAnAlteredWindowShows(t *testing.T) {
	t.Parallel()
	a := newAuthor(8)
	a.years(40)
	l := fill(newLedger(testRules), a.check(t))
	for _, c := range []struct {
		days int
		off  int
	}{{0, 1}, {29, 1}, {40, 0}} {
		at := contract.Day.Begin(l.horizon - int64(c.days)*contract.Day.Length().Milliseconds())
		l.books.windows.put(1, &mark{at, 1, key(contract.CellSucceedJob)}, 1, l.seq)
		back, sums := reload(t, l)
		if off := back.books.off(sums); off != c.off {
			t.Errorf("%d days ago: %d sums are off, want %d", c.days, off, c.off)
		}
		l.books.windows.put(1, &mark{at, 1, key(contract.CellSucceedJob)}, -1, l.seq)
	}
}
