package contract

import (
	"iter"
	"strconv"
	"time"
)

// Book is what the jobs of one queue and one type add up to: from the first on (`book.<queue>.<type>` in the
// bucket "jobs"), or in one window of time (`window.<span>.<place>.<queue>.<type>`). Books add up: those of
// all queues and types are the whole, those of sixty minutes an hour.
type Book struct {
	V     int    `json:"v"`
	Queue string `json:"queue"`          // OtherBooks for those beyond MaxBooks
	Type  string `json:"type"`           // NoType for the facts of units
	Span  Span   `json:"span,omitempty"` // "" for the book of all time
	At    Time   `json:"at,omitzero"`    // where the window begins
	Figures
	Retired *Figures `json:"retired,omitempty"` // the part whose documents are gone; not of a window
}

// Figures are what adds up.
type Figures struct {
	Sums    Sums     `json:"sums"`
	Latency Sketches `json:"latency"`
}

// Empty tells whether nothing is counted.
func (f *Figures) Empty() bool {
	for i := range f.Latency {
		if len(f.Latency[i].Buckets) > 0 || f.Latency[i].Total != 0 {
			return false
		}
	}
	return f.Sums == Sums{}
}

// Limits of the books. A configuration has far fewer queues with types; the rest, which only a writer of
// nonsense could bring about, share one book.
const (
	BookVersion = 1
	MaxBooks    = 256
	OtherBooks  = "=" // no valid token, but good in a key
)

// Span is how long a window is.
type Span string

// The spans. Recent time is kept by the minute, then by the hour, then by the day, in UTC. A window counts
// what happened in it, by event time: a job where it was submitted, everything else where it ended.
const (
	Minute Span = "minute"
	Hour   Span = "hour"
	Day    Span = "day"
)

// spans is never written to. Of each, length and how many whole ones are kept beside the one that runs.
var spans = [...]struct {
	span   Span
	length time.Duration
	keep   time.Duration // before the beginning of the next longer one that runs
	within time.Duration // the next longer one
	places int64         // of the ring of keys: more than can be kept, so no two that are kept share one
}{
	{Minute, time.Minute, 3 * time.Hour, time.Hour, 256},
	{Hour, time.Hour, 7 * 24 * time.Hour, 24 * time.Hour, 256},
	{Day, 24 * time.Hour, 400 * 24 * time.Hour, 24 * time.Hour, 512},
}

// Spans lists the spans, the shortest first.
func Spans() []Span { return []Span{Minute, Hour, Day} }

// Known tells whether s is of the closed set.
func (s Span) Known() bool { return s == Minute || s == Hour || s == Day }

func (s Span) rule() int {
	for i := range spans {
		if spans[i].span == s {
			return i
		}
	}
	return len(spans) - 1
}

// Length is how long a window of this span is.
func (s Span) Length() time.Duration { return spans[s.rule()].length }

// Begin is where the window begins that holds a moment, in milliseconds.
func (s Span) Begin(ms int64) int64 {
	length := s.Length().Milliseconds()
	return ms - ms%length
}

// Floor is where the oldest window begins that is kept when events have come as far as horizon. What is
// older is told by the next longer span, or no more.
func (s Span) Floor(horizon int64) int64 {
	r := spans[s.rule()]
	return horizon - horizon%r.within.Milliseconds() - r.keep.Milliseconds()
}

// BookKey is the key of the book of all time of a queue and a type.
func BookKey(queue, jobType string) string { return "book." + queue + "." + jobType }

// WindowKey is the key of a window that begins at ms. Keys are taken again once a window is long gone, so
// that what was deleted leaves nothing behind: the document says which it is.
func WindowKey(s Span, ms int64, queue, jobType string) string {
	return "window." + string(s) + "." + strconv.Itoa(int(s.Place(ms))) + "." + queue + "." + jobType
}

// Place is the window's part of its key: of windows that are kept at one time no two have the same.
func (s Span) Place(ms int64) uint16 {
	r := spans[s.rule()]
	return uint16(ms / r.length.Milliseconds() % r.places)
}

// BookKeys and WindowKeys match them all.
const (
	BookKeys   = "book.>"
	WindowKeys = "window.>"
)

// Key is where the book is kept.
func (b *Book) Key() string {
	if b.Span == "" {
		return BookKey(b.Queue, b.Type)
	}
	return WindowKey(b.Span, b.At.UnixMilli(), b.Queue, b.Type)
}

// Totals are figures, ready to be added to.
type Totals struct {
	Sums    Sums
	Latency [Stages]Histogram
}

// Add puts figures into the totals, or with sign -1 takes them out.
func (t *Totals) Add(f *Figures, sign int64) {
	t.Sums.Add(&f.Sums, sign)
	for i := range f.Latency {
		t.Latency[i].Merge(&f.Latency[i], sign)
	}
}

// Figures are the totals as a document has them.
func (t *Totals) Figures() Figures {
	f := Figures{Sums: t.Sums}
	for i := range t.Latency {
		f.Latency[i] = t.Latency[i].Sketch()
	}
	return f
}

// Show fills in what the totals say of all jobs that they are of.
func (t *Totals) Show(s *Stats) {
	all := t.Sums.Sum()
	s.SucceedJob, s.JobRetry, s.FailedJob = all.SucceedJob, all.JobRetry, all.FailedJob
	s.Jobs, s.Attempts, s.Failures = all.Jobs, all.Attempts, all.Failures
	s.Units, s.Waste = t.Sums.Units(), t.Sums.Waste()
	for i := range t.Latency {
		*s.Latency.Of(Stage(i)) = t.Latency[i].Latency()
	}
}

// Point fills in what the totals say of one window of a series.
func (t *Totals) Point(p *Point) {
	all := t.Sums.Sum()
	p.Submitted, p.SucceedJob, p.JobRetry, p.FailedJob = all.Jobs.Submitted, all.SucceedJob, all.JobRetry, all.FailedJob
	p.Noop, p.Waste = t.Sums.at(CellNoop), t.Sums.Waste()
	p.Claim, p.Work, p.Overall = t.Latency[StageClaim].Latency(), t.Latency[StageWork].Latency(), t.Latency[StageOverall].Latency()
}

// SumsBy gives the sums by name, leaving out what shows nothing. In a window that may hold endings of jobs that
// were submitted before it, so no count of jobs tells.
func SumsBy(named iter.Seq2[string, *Sums]) map[string]Sum {
	by := make(map[string]*Sums)
	for name, s := range named {
		if by[name] == nil {
			by[name] = new(Sums)
		}
		by[name].Add(s, 1)
	}
	out := make(map[string]Sum, len(by))
	for name, s := range by {
		if sum := s.Sum(); !sum.Empty() {
			out[name] = sum
		}
	}
	return out
}
