package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/aggregator"
	"tallyman/contract"
	"tallyman/internal/stream"
)

// firstDay is a Thursday, at nine.
var firstDay = time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// streamKept is the max age of the stream of events.
const streamKept = 31 * day

// aged is a stream of events of which the oldest have aged out.
type aged struct {
	all   []stream.Stored
	first uint64
}

func numbered(job int) string { return fmt.Sprintf("01890000-0000-7000-8000-%012x", job) }

func (a *aged) say(job int, kind contract.Kind, source contract.Source, submitted, at time.Time) {
	e := contract.Event{
		Kind: kind, Source: source, Queue: "default", Type: "probe", JobID: numbered(job), Run: 1,
		SubmittedAt: contract.At(submitted), Time: contract.At(at),
	}
	if !kind.OfRun() {
		e.Attempt = 1
	}
	a.all = append(a.all, stream.Stored{Seq: uint64(len(a.all) + 1), At: at, Event: e})
}

// live says the life of a job of half a second; the bridge's word of its claim comes behind its end.
func (a *aged) live(job int, at time.Time) {
	for i, k := range []contract.Kind{contract.Submitted, contract.Queued, contract.Claimed, contract.Started, contract.Succeeded} {
		source := contract.SourceProcessor
		if i < 2 {
			source = contract.SourceAPI
		}
		a.say(job, k, source, at, at.Add(time.Duration(i)*100*time.Millisecond))
	}
	a.say(job, contract.Claimed, contract.SourceBridge, at, at.Add(1200*time.Millisecond))
}

func (a *aged) Info(context.Context) (stream.Info, error) {
	return stream.Info{Created: firstDay, First: a.first, Last: uint64(len(a.all))}, nil
}

func (a *aged) Read(_ context.Context, from uint64, fn func(stream.Stored) error) error {
	for i := max(from, a.first); i <= uint64(len(a.all)); i++ {
		if err := fn(a.all[i-1]); err != nil {
			return err
		}
	}
	return nil
}

// books are what the aggregator made of all events, while they were there; the documents of some jobs are changed.
func (a *aged) books(t *testing.T, change func(ledger shelf)) shelf {
	t.Helper()
	a.first = 1
	r := aggregator.NewReplay(a, nil, 0)
	if err := r.To(t.Context(), uint64(len(a.all))); err != nil {
		t.Fatal(err)
	}
	ledger := shelf{}
	for id := range r.Jobs() {
		ledger.put(contract.JobKey(id), string(r.Job(id)), 1)
	}
	books, err := r.Books()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range books {
		ledger.put(e.Key, string(e.Value), 2)
	}
	if change != nil {
		change(ledger)
	}
	return ledger
}

// age makes go what the stream no longer keeps at a moment.
func (a *aged) age(now time.Time) {
	for a.first = 1; now.Sub(a.all[a.first-1].At) > streamKept; a.first++ {
	}
}

// audited holds books to what is left of the stream now, at which nobody claims anything.
func (a *aged) audited(t *testing.T, ledger shelf, now time.Time) contract.AuditReport {
	t.Helper()
	a.age(now)
	claims := shelf{}
	record := contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: contract.At(now)}
	b, err := record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for key := range ledger { // that no claim is missing
		if id, ok := contract.JobIDOfKey(key); ok {
			claims.put(contract.RunKey("default", id, 1), string(b), 1)
		}
	}
	clock := clockwork.NewFakeClockAt(now)
	o := Options{
		Events: a, Replay: func() Replay { return aggregator.NewReplay(a, nil, 0) }, Ledger: ledger, Claims: claims,
	}
	return twice(t, o, clock)
}

// hourly is a job an hour for 39 days, and the moment at which the stream keeps of a job only what the bridge said of its
// claim, behind its end. Its document is gone for a day.
func hourly() (a *aged, now time.Time) {
	a = new(aged)
	for n := range 39 * 24 {
		a.live(n, firstDay.Add(time.Duration(n)*time.Hour))
	}
	now = firstDay.Add(39*day + 800*time.Millisecond)
	a.live(39*24, now.Add(-800*time.Millisecond))
	a.all = a.all[:39*24*6+3]
	return a, now
}

// What is left of a job that is gone is no job whose document somebody removed.
func TestWhatIsLeftOfAJobThatIsGoneIsNoJob(t *testing.T) {
	t.Parallel()
	a, now := hourly()
	r := a.audited(t, a.books(t, nil), now)
	if gone := numbered(8 * 24); a.all[a.first-1].Event.JobID != gone || a.all[a.first-1].Event.Source != contract.SourceBridge {
		t.Fatalf("the stream begins with %+v, not with what the bridge said of job %s", a.all[a.first-1].Event, gone)
	}
	nothingFound(t, &r)

	removed := numbered(20 * 24)
	r = a.audited(t, a.books(t, func(ledger shelf) { delete(ledger, contract.JobKey(removed)) }), now)
	onlyFound(t, &r, contract.DocumentMissing, removed)
}

// A job that nobody said was submitted, and that is younger than documents are kept, is missed where its document is gone.
func TestAYoungOrphanWithoutADocumentIsMissed(t *testing.T) {
	t.Parallel()
	a, now := hourly()
	orphan := 1 << 20
	a.say(orphan, contract.Claimed, contract.SourceProcessor, now.Add(-time.Hour), now)
	r := a.audited(t, a.books(t, func(ledger shelf) { delete(ledger, contract.JobKey(numbered(orphan))) }), now)
	onlyFound(t, &r, contract.DocumentMissing, numbered(orphan))
}

// workdays is a hundred jobs on each day but Saturday and Sunday, and the moment on a Monday after the first job: many of
// four weeks before are due to go by then, and each event makes a few go at most.
func workdays() (a *aged, now time.Time) {
	a = new(aged)
	job := 0
	for d := range 39 {
		nine := firstDay.Add(time.Duration(d) * day)
		if w := nine.Weekday(); w == time.Saturday || w == time.Sunday {
			continue
		}
		for i := range 100 {
			a.live(job, nine.Add(time.Duration(i)*5*time.Minute))
			job++
		}
	}
	monday := firstDay.Add(39 * day)
	a.live(job, monday)
	return a, monday.Add(time.Minute)
}

// After a quiet weekend the ledger is behind with what is to go, and a replay, which does not know the oldest of it, is not.
func TestADocumentThatIsToGoIsNoStrangers(t *testing.T) {
	t.Parallel()
	a, now := workdays()
	ledger := a.books(t, nil)
	r := a.audited(t, ledger, now)
	nothingFound(t, &r)

	replay := aggregator.NewReplay(a, nil, 0)
	if err := replay.To(t.Context(), uint64(len(a.all))); err != nil {
		t.Fatal(err)
	}
	ahead := 0
	for key := range ledger {
		if id, ok := contract.JobIDOfKey(key); ok && replay.Job(id) == nil && a.has(id) {
			ahead++
		}
	}
	if ahead == 0 {
		t.Error("the replay is not ahead of the ledger, so this test shows nothing")
	}
}

// has tells whether the stream has the first event of a job.
func (a *aged) has(id string) bool {
	for _, e := range a.all[a.first-1:] {
		if e.Event.JobID == id && e.Event.Kind == contract.Submitted {
			return true
		}
	}
	return false
}

// A document that somebody made up is named, however old it says it is: the stats tell the oldest that the ledger knows.
func TestADocumentThatIsMadeUpIsNamed(t *testing.T) {
	t.Parallel()
	a, now := workdays()
	for name, ended := range map[string]time.Time{"long ago": firstDay.Add(-400 * day), "yesterday": now.Add(-day)} {
		madeUp := contract.Job{
			V: 1, JobID: anyJob, Queue: "default", Type: "probe", State: contract.StateSucceeded, SubmittedAt: contract.At(ended), UpdatedAt: contract.At(ended),
			EndedAt: contract.At(ended), Run: 1, Runs: []contract.JobRun{{Run: 1, SubmittedAt: contract.At(ended), Outcome: contract.OutcomeSucceeded}},
			Events: []uint64{uint64(len(a.all)) - 1},
		}
		doc, err := json.Marshal(&madeUp)
		if err != nil {
			t.Fatal(err)
		}
		r := a.audited(t, a.books(t, func(ledger shelf) { ledger.put(contract.JobKey(anyJob), string(doc), 1) }), now)
		t.Logf("it says that it ended %s", name)
		onlyFound(t, &r, contract.DocumentUnknown, anyJob)
	}
}
