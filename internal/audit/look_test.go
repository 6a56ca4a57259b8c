package audit

import (
	"context"
	"errors"
	"iter"
	"maps"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// log is a stream of which only its ends matter, and the replay of it.
type log struct {
	info  stream.Info
	whole bool
	alien uint64 // that another version folded
	gaps  [][2]uint64
	docs  map[string][]byte
	books []stream.Entry
	asked bool // the replay was
}

func (l *log) Info(context.Context) (stream.Info, error) { return l.info, nil }

func (l *log) To(_ context.Context, seq uint64) error {
	l.asked = true
	return nil
}
func (l *log) Seq() uint64           { return l.info.Last }
func (l *log) First() uint64         { return l.info.First }
func (l *log) Events() int           { return int(l.info.Last - l.info.First + 1) }
func (l *log) Lacks(seq uint64) bool { return seq < l.info.First }
func (l *log) Whole() bool           { return l.whole }
func (l *log) Foreign() uint64       { return l.alien }
func (l *log) Gaps() iter.Seq2[uint64, uint64] {
	return func(yield func(from, to uint64) bool) {
		for _, g := range l.gaps {
			if !yield(g[0], g[1]) {
				return
			}
		}
	}
}
func (l *log) Job(id string) []byte           { return l.docs[id] }
func (l *log) Jobs() iter.Seq[string]         { return maps.Keys(l.docs) }
func (l *log) Books() ([]stream.Entry, error) { return l.books, nil }

// shelf is a bucket.
type shelf map[string]stream.Entry

func (s shelf) put(key, value string, revision uint64) {
	s[key] = stream.Entry{Key: key, Value: []byte(value), Revision: revision}
}

func (s shelf) Get(_ context.Context, key string) (stream.Entry, error) {
	if e, ok := s[key]; ok {
		return e, nil
	}
	return stream.Entry{}, stream.ErrNotFound
}

func (s shelf) Each(_ context.Context, filter string, fn func(stream.Entry) error) error {
	for key, e := range s {
		ok, err := path.Match(strings.ReplaceAll(filter, ">", "*"), key)
		if err == nil && ok {
			err = fn(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s shelf) Put(_ context.Context, key string, value []byte) (uint64, error) {
	s.put(key, string(value), 1)
	return 1, nil
}

type away struct{}

func (away) Counts(context.Context, string) (queue.Counts, error) {
	return queue.Counts{}, errors.New("SQS is away")
}

// counts is an SQS that is empty.
type counts struct{}

func (counts) Counts(context.Context, string) (queue.Counts, error) { return queue.Counts{}, nil }

const tenth = `{"asOf":{"seq":10}}`

// remarked audits a ledger of ten events with one job, whose document is the one given.
func remarked(t *testing.T, l *log, most int, document string, c Counter) contract.AuditReport {
	t.Helper()
	l.info.Last, l.info.Created = 10, time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	l.docs, l.books = map[string][]byte{anyJob: []byte(`{"jobId":"` + anyJob + `"}`)}, []stream.Entry{{Key: contract.KeyStats, Value: []byte(tenth)}}
	ledger := shelf{}
	ledger.put(contract.JobKey(anyJob), document, 1)
	ledger.put(contract.KeyStats, tenth, 2)
	clock := clockwork.NewFakeClock()
	a, err := New(Options{
		Config: contract.Config{Queues: []contract.Queue{{Name: "default", URL: "q"}}},
		Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}, Records: shelf{}, Counter: c, Most: most, Wait: time.Second, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.Advance(patience) // what is suspected is believed then
	r, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// twice audits, waits until whatever is suspected is believed, and audits again.
func twice(t *testing.T, o Options, clock *clockwork.FakeClock) contract.AuditReport {
	t.Helper()
	o.Clock = clock
	a := auditor(t, o)
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.Advance(10 * time.Minute)
	r, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// auditor audits one queue, of which SQS counts nothing unless o has a counter.
func auditor(t *testing.T, o Options) *Auditor {
	t.Helper()
	o.Config, o.Records, o.Wait = contract.Config{Queues: []contract.Queue{{Name: "default", URL: "q"}}}, shelf{}, time.Second
	if o.Counter == nil {
		o.Counter = counts{}
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func nothingFound(t *testing.T, r *contract.AuditReport) {
	t.Helper()
	if !r.Clean() || r.Pending > 0 {
		t.Errorf("the books are right: unaccounted %d, pending %d, not looked at: %q", r.Unaccounted, r.Pending, r.Unchecked)
		for i := range r.Findings[:min(3, len(r.Findings))] {
			t.Errorf("%s: %s", r.Findings[i].Kind, r.Findings[i].Says)
		}
	}
}

func onlyFound(t *testing.T, r *contract.AuditReport, kind contract.FindingKind, says string) {
	t.Helper()
	if len(r.Findings) != 1 || r.Findings[0].Kind != kind || !strings.Contains(r.Findings[0].Says, says) {
		t.Errorf("%d findings, %+v; it is to find %s of %q", len(r.Findings), r.Findings[:min(2, len(r.Findings))], kind, says)
	}
}

const (
	whatItIs = `{"jobId":"` + anyJob + `"}`
	altered  = `{"jobId":"` + anyJob + `","state":"failed"}`
)

// A log that is longer than an audit replays is told, with how long it is, and is no fault.
func TestALogTooLongIsRemarked(t *testing.T) {
	t.Parallel()
	l := &log{info: stream.Info{First: 1}, whole: true}
	r := remarked(t, l, 9, altered, counts{})
	if !r.Clean() || len(r.Remarks) != 1 || l.asked {
		t.Fatalf("%+v", r)
	}
	for _, part := range []string{"were not compared", "holds 10 events", "replays 9 at the most", "--audit-events", "scheduler.auditEvents"} {
		if !strings.Contains(r.Remarks[0], part) {
			t.Errorf("%q does not say %q", r.Remarks[0], part)
		}
	}
	if r := remarked(t, l, 10, whatItIs, counts{}); !r.Clean() || len(r.Remarks) != 0 || !l.asked {
		t.Errorf("a log as long as an audit replays: %+v", r)
	}
}

// What else cannot be looked at stays a fault, beside a remark too.
func TestWhatIsUncheckedIsAFault(t *testing.T) {
	t.Parallel()
	for _, most := range []int{9, 10} {
		r := remarked(t, &log{info: stream.Info{First: 1}, whole: true}, most, whatItIs, away{})
		if r.Clean() || len(r.Unchecked) != 1 || !strings.Contains(r.Unchecked[0], "SQS is away") {
			t.Errorf("%+v", r)
		}
	}
}

// A log of which the oldest events have aged out cannot tell the sums, which is told; documents are compared.
func TestALogWithoutItsBeginningIsRemarked(t *testing.T) {
	t.Parallel()
	l := &log{info: stream.Info{First: 4}}
	r := remarked(t, l, 100, whatItIs, counts{})
	if !r.Clean() || len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0], "it begins at 4") || !strings.Contains(r.Remarks[0], "cannot tell their sums") {
		t.Errorf("%+v", r)
	}
	if r := remarked(t, l, 100, altered, counts{}); r.Clean() || r.Findings[0].Kind != contract.DocumentDiffers || len(r.Remarks) != 1 {
		t.Errorf("a document altered beside it: %+v", r)
	}
}

// What the stream lost behind its first event is missed, unless the ledger wrote it down itself, a document tells
// of it, or nobody has looked so far yet.
func TestHolesThatNobodyTellsOfAreMissed(t *testing.T) {
	t.Parallel()
	l := &look{
		replay: &log{info: stream.Info{First: 1, Last: 30}, gaps: [][2]uint64{{3, 5}, {8, 12}, {19, 25}}},
		named:  map[uint64]bool{4: true}, looked: 20,
	}
	l.shown.Balance = contract.Balance{GapAt: 8, GapTo: 11, Missing: 4}
	found := l.holes()
	if len(found) != 1 {
		t.Fatalf("%+v", found)
	}
	f := found[0].finding
	if f.Kind != contract.EventMissing || f.Seq != 3 || f.Count != 5 || !strings.Contains(f.Says, "5 events of 3 to 20,") ||
		!strings.Contains(f.Do, "--accept-gaps-to 20") {
		t.Errorf("%+v", f)
	}
	l.shown.Balance = contract.Balance{GapAt: 3, GapTo: 25, Missing: 15}
	if found := l.holes(); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

// What another version of the aggregator folded is not held to a replay by this one, which is told; what came later is.
func TestWhatAnotherVersionFoldedIsRemarked(t *testing.T) {
	t.Parallel()
	begun := `{"jobId":"` + anyJob + `","state":"failed","events":[5]}`
	l := &log{info: stream.Info{First: 1}, alien: 5}
	r := remarked(t, l, 100, begun, counts{})
	if !r.Clean() || len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0], "begin before 6: another version") {
		t.Errorf("%+v", r)
	}
	l.alien = 4
	if r := remarked(t, l, 100, begun, counts{}); r.Clean() || r.Findings[0].Kind != contract.DocumentDiffers || len(r.Remarks) != 1 {
		t.Errorf("a job that came later: %+v", r)
	}
	l.info.First = 5
	if r := remarked(t, l, 100, begun, counts{}); len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0], "it begins at 5") {
		t.Errorf("a stream that no longer has those events: %+v", r)
	}
}
