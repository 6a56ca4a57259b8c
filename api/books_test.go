package api

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// shelf makes books of a queue and type: in all, and by time.
type shelf struct {
	t testing.TB
	b *books
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// put counts jobs that succeeded, and took so long, in the window that holds a moment, and in all.
func (s *shelf) put(queue, jobType string, span contract.Span, at time.Time, jobs int64, took time.Duration) {
	s.t.Helper()
	var h contract.Histogram
	h.Add(took.Milliseconds(), jobs)
	var sums contract.Sums
	sums[contract.CellOfState(contract.StateSucceeded)], sums[contract.CellSucceedJob] = jobs, jobs
	f := contract.Figures{Sums: sums, Latency: contract.Sketches{contract.StageWork: h.Sketch()}}
	whole := contract.Book{V: contract.BookVersion, Queue: queue, Type: jobType}
	var total contract.Totals
	if before := s.b.waiting[whole.Key()]; before != nil {
		total.Add(&before.Figures, 1)
	}
	total.Add(&f, 1)
	whole.Figures = total.Figures()
	s.take(&whole)
	s.take(&contract.Book{
		V: contract.BookVersion, Queue: queue, Type: jobType, Span: span, At: contract.AtMilli(span.Begin(at.UnixMilli())), Figures: f,
	})
}

func (s *shelf) take(d *contract.Book) {
	s.t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.b.take(stream.Entry{Key: d.Key(), Value: b}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) show() {
	s.t.Helper()
	b, err := json.Marshal(contract.Stats{Balanced: true, Kept: contract.KeptAt(noon.UnixMilli()), Jobs: contract.JobCounts{Submitted: 1000}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.b.show(b); err != nil {
		s.t.Fatal(err)
	}
}

// newShelf has 1 job a minute ago, 2 in each of two minutes of a quarter of an hour ago, 4 yesterday, and 8 of another queue and 16 of
// another type a month ago.
func newShelf(t testing.TB) *shelf {
	s := &shelf{t, newBooks()}
	s.put("q", "a", contract.Minute, noon.Add(-time.Minute), 1, time.Second)
	s.put("q", "a", contract.Minute, noon.Add(-15*time.Minute), 2, 2*time.Second)
	s.put("q", "a", contract.Minute, noon.Add(-16*time.Minute), 2, 2*time.Second)
	s.put("q", "a", contract.Hour, noon.Add(-24*time.Hour), 4, 4*time.Second)
	s.put("p", "a", contract.Day, noon.Add(-30*24*time.Hour), 8, 8*time.Second)
	s.put("q", "b", contract.Day, noon.Add(-30*24*time.Hour), 16, 16*time.Second)
	return s
}

func TestBooksAnswerForAPart(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if got, _ := s.b.answer(slice{queue: "q"}); got.Jobs.Submitted != 0 {
		t.Error("books are shown before their stats")
	}
	s.show()
	ago := func(d time.Duration) int64 { return noon.Add(-d).UnixMilli() }
	for _, c := range []struct {
		name  string
		q     slice
		jobs  int
		since string
	}{
		{"everything is the whole", slice{}, 1000, ""},
		{"a queue", slice{queue: "q"}, 25, ""},
		{"a type", slice{jobType: "a"}, 17, ""},
		{"a queue and a type", slice{queue: "q", jobType: "a"}, 9, ""},
		{"nobody's", slice{queue: "nope"}, 0, ""},
		{"ten minutes", slice{since: ago(10 * time.Minute)}, 1, "2026-11-21T11:50:00.000Z"},
		{"widened to the minute", slice{since: ago(15*time.Minute - time.Second)}, 3, "2026-11-21T11:45:00.000Z"},
		{"widened to the hour", slice{since: ago(24*time.Hour - time.Minute)}, 9, "2026-11-20T12:00:00.000Z"},
		{"widened to the day", slice{since: ago(30*24*time.Hour - time.Minute), queue: "q"}, 25, "2026-10-22T00:00:00.000Z"},
		{"between", slice{since: ago(time.Hour), until: ago(15*time.Minute + time.Millisecond)}, 2, "2026-11-21T11:00:00.000Z"},
		{"until, a little of its minute", slice{since: ago(time.Hour), until: ago(15*time.Minute - time.Millisecond)}, 4, "2026-11-21T11:00:00.000Z"},
		{"from the first on", slice{until: ago(20 * time.Minute)}, 28, ""},
	} {
		got, err := s.b.answer(c.q)
		if err != nil || got.Jobs.Submitted != c.jobs || !got.Balanced {
			t.Errorf("%s: %d jobs, want %d: %v", c.name, got.Jobs.Submitted, c.jobs, err)
		}
		if got.Window != nil && !got.Window.Since.IsZero() && got.Window.Since.String() != c.since {
			t.Errorf("%s: since %s, want %s", c.name, got.Window.Since, c.since)
		}
		if sum := got.ByQueue["q"].Jobs.Submitted + got.ByQueue["p"].Jobs.Submitted; !c.q.whole() && sum != c.jobs {
			t.Errorf("%s: %d by queue", c.name, sum)
		}
	}
	if got, _ := s.b.answer(slice{since: ago(20 * time.Minute)}); got.Latency.Work.Count != 5 || got.Latency.Work.Mean != 1.8 {
		t.Errorf("latency %+v", got.Latency.Work)
	}
	var old *tooOld
	if _, err := s.b.answer(slice{since: ago(500 * 24 * time.Hour)}); !errors.As(err, &old) {
		t.Errorf("a time that is not kept: %v", err)
	}
}

func TestBooksGiveASeries(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.show()
	got, err := s.b.answer(slice{step: contract.Hour, queue: "q"})
	if err != nil || len(got.Series) != 3 {
		t.Fatalf("%+v, %v", got.Series, err)
	}
	for i, want := range []struct {
		at   string
		span contract.Span
		jobs int
	}{
		{"2026-10-22T00:00:00.000Z", contract.Day, 16}, {"2026-11-20T12:00:00.000Z", contract.Hour, 4}, {"2026-11-21T11:00:00.000Z", contract.Hour, 5},
	} {
		if p := got.Series[i]; p.At.String() != want.at || p.Span != want.span || p.Submitted != want.jobs || p.Work.Count != want.jobs {
			t.Errorf("%d: %+v, want %+v", i, p, want)
		}
	}
	if got, _ := s.b.answer(slice{step: contract.Minute, since: noon.Add(-time.Hour).UnixMilli()}); len(got.Series) != 3 || got.Series[2].SucceedJob != 1 {
		t.Errorf("%+v", got.Series)
	}
}

// Jobs count where they were submitted and endings where they ended, so a window may hold endings alone; its
// parts add up like those of any other.
func TestAWindowOfEndingsAloneIsToldByName(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var endings contract.Sums
	endings[contract.CellAttempts], endings[contract.CellFailed] = 50, 50
	endings[contract.CellFailedJob], endings[contract.CellRunsFailed] = 50, 20
	endings[contract.CellReason] = 50
	s.take(&contract.Book{
		V: contract.BookVersion, Queue: "p", Type: "a", Span: contract.Minute, At: contract.At(noon.Add(-2 * time.Minute)),
		Figures: contract.Figures{Sums: endings},
	})
	s.show()
	got, err := s.b.answer(slice{since: noon.Add(-2 * time.Minute).UnixMilli(), until: noon.Add(-time.Minute).UnixMilli()})
	if err != nil || got.FailedJob != 50 || got.Jobs.Submitted != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	for name, sum := range map[string]contract.Sum{"queue p": got.ByQueue["p"], "type a": got.ByType["a"]} {
		if sum.FailedJob != got.FailedJob || sum.JobRetry != got.JobRetry || sum.Attempts != got.Attempts || len(sum.Failures) != 1 {
			t.Errorf("%s: %+v, of %+v", name, sum, got)
		}
	}
	if len(got.ByQueue) != 1 || len(got.ByType) != 1 {
		t.Errorf("%+v %+v", got.ByQueue, got.ByType)
	}
}

// A window whose key is taken again is the new one, and one that was rolled up is gone.
func TestBooksFollowTheBucket(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.show()
	empty := &contract.Book{V: contract.BookVersion, Queue: "q", Type: "a", Span: contract.Minute, At: contract.At(noon.Add(-time.Minute))}
	s.take(empty)
	next := s.b.next()
	s.show()
	select {
	case <-next:
	default:
		t.Error("nobody is told of new books")
	}
	if got, _ := s.b.answer(slice{since: noon.Add(-10 * time.Minute).UnixMilli()}); got.Jobs.Submitted != 0 {
		t.Errorf("a window that was rolled up still counts: %+v", got.Jobs)
	}
	waited := *empty // in which nothing was counted but how long something took
	waited.Latency[contract.StageQueue] = contract.Sketch{Total: 5, Buckets: []int64{5, 1}}
	s.take(&waited)
	s.show()
	if got, _ := s.b.answer(slice{since: noon.Add(-10 * time.Minute).UnixMilli()}); got.Latency.Queue.Count != 1 {
		t.Errorf("a window with a latency alone does not count: %+v", got.Latency)
	}
	if err := s.b.take(stream.Entry{Key: empty.Key(), Value: []byte(`{"sums":{"nope":1}}`)}); err == nil {
		t.Error("a book that cannot be read was taken")
	}
}
