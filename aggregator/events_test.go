package aggregator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tallyman/contract"
)

// epoch is when the tests' events begin.
var epoch = time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)

// said is an event at a place of the stream.
type said struct {
	seq    uint64
	stored time.Time
	event  *contract.Event // nil: nobody can read it
}

// fill folds events in the order given.
func fill(l *ledger, all []said) *ledger {
	for _, s := range all {
		l.fold(s.seq, s.stored, s.event)
	}
	return l
}

var testRules = rules{retention: DefaultRetention, window: DefaultWindow}

// author writes valid events of one job after another.
type author struct {
	rng *rand.Rand
	seq uint64
	all []said
}

func newAuthor(seed uint64) *author { return &author{rng: rand.New(rand.NewPCG(seed, 1))} }

func testID(n int) string { return contract.KeyID("test", fmt.Sprint(n)) }

// event is a valid event of a job, at seconds after the epoch.
func event(job string, run, attempt int, kind contract.Kind, seconds float64) *contract.Event {
	e := &contract.Event{
		Kind: kind, Source: contract.SourceProcessor, Queue: "default", Type: "probe", JobID: job, Run: run, Attempt: attempt,
		SubmittedAt: contract.At(epoch), Time: contract.At(epoch.Add(time.Duration(math.Round(seconds*1000)) * time.Millisecond)),
	}
	switch kind {
	case contract.Submitted:
		e.Source, e.Task = contract.SourceAPI, []byte("{}")
	case contract.Queued:
		e.Source = contract.SourceAPI
	case contract.AttemptFailed, contract.Failed:
		e.Reason = contract.AppExit
	case contract.AttemptDisrupted:
		e.Source, e.Reason = contract.SourceBridge, contract.Evicted
	}
	return e
}

// say puts an event on the stream, a minute after it happened at most.
func (a *author) say(e *contract.Event) {
	a.seq++
	a.all = append(a.all, said{a.seq, e.Time.Add(time.Minute), e})
}

// life says the whole life of a job: of n attempts all but the last failed, and the last ended as end says.
func (a *author) life(job string, attempts int, end contract.Kind) {
	a.say(event(job, 1, 0, contract.Submitted, 0))
	a.say(event(job, 1, 0, contract.Queued, 0.02))
	for n := 1; n <= attempts; n++ {
		a.say(event(job, 1, n, contract.Claimed, float64(n)))
		a.say(event(job, 1, n, contract.Started, float64(n)+0.05))
		if n < attempts || end == contract.Failed {
			a.say(event(job, 1, n, contract.AttemptFailed, float64(n)+0.5))
		}
	}
	switch end {
	case contract.Succeeded:
		a.say(event(job, 1, attempts, end, float64(attempts)+0.7))
	default:
		a.say(event(job, 1, 0, end, float64(attempts)+0.7))
	}
}

var allKinds = contract.Kinds()

// chaos says any facts of a few jobs, in any order, by any voices, which contradict one another.
func (a *author) chaos(jobs, events int) {
	queues, types := []string{"default", "mail", "video"}, []string{"probe", "process-data", "send"}
	sources := []contract.Source{contract.SourceAPI, contract.SourceBridge, contract.SourceProcessor, contract.SourceScheduler}
	for range events {
		n := a.rng.IntN(jobs)
		kind := allKinds[a.rng.IntN(len(allKinds))]
		attempt := 0
		if !kind.OfRun() {
			attempt = 1 + a.rng.IntN(4)
		}
		e := event(testID(n), 1+a.rng.IntN(3), attempt, kind, a.rng.Float64()*100)
		e.Source = sources[a.rng.IntN(len(sources))]
		e.SubmittedAt = contract.At(epoch.Add(time.Duration(a.rng.IntN(3)) * time.Second))
		e.Reason = ""
		if a.rng.IntN(4) > 0 || kind == contract.AttemptFailed || kind == contract.Failed {
			e.Reason = contract.Reasons()[a.rng.IntN(len(contract.Reasons()))]
		}
		if a.rng.IntN(3) == 0 {
			e.MadeAt = contract.At(epoch.Add(time.Duration(a.rng.IntN(100_000)) * time.Millisecond))
			e.Millicores, e.MiB = 250*a.rng.IntN(3), 64*a.rng.IntN(3)
		}
		e.Queue, e.Type = queues[n%len(queues)], types[n%len(types)]
		if a.rng.IntN(20) == 0 { // a voice that names another queue or type
			e.Queue, e.Type = queues[a.rng.IntN(len(queues))], types[a.rng.IntN(len(types))]
		}
		a.say(e)
		if a.rng.IntN(3) == 0 { // stored before it happened, by the writer's clock
			a.all[len(a.all)-1].stored = e.Time.Add(-time.Second)
		}
	}
}

// units says facts of units, some of them twice.
func (a *author) units(n int) {
	kinds := []contract.Kind{contract.Noop, contract.Duplicate, contract.Rejected, contract.ClaimFailed}
	for range n {
		k := kinds[a.rng.IntN(len(kinds))]
		e := &contract.Event{
			Kind: k, Source: contract.SourceProcessor, Queue: "default", Type: contract.NoType, Unit: fmt.Sprint("unit-", a.rng.IntN(n)),
			Pod: "pod", Time: contract.At(epoch.Add(time.Duration(a.rng.IntN(1000)) * time.Millisecond)),
		}
		if k == contract.ClaimFailed {
			e.Reason = contract.ImagePull
		}
		a.say(e)
	}
}

// check encodes and decodes every event, so that the tests speak of what can be on the stream.
func (a *author) check(t testing.TB) []said {
	t.Helper()
	for _, s := range a.all {
		if s.event == nil {
			continue
		}
		b, err := s.event.Encode()
		if err != nil {
			t.Fatalf("event %d %s: %v", s.seq, s.event.ID(), err)
		}
		got, err := contract.DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		*s.event = got
	}
	return a.all
}
