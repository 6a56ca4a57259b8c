package aggregator

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// oracle counts by the sentences of the design, from the plain set of all that was ever said. It keeps
// every voice and recounts everything, so it shares nothing with the fold but the words.
type oracle struct {
	voices map[factKey][]said
	runs   map[string]map[int]map[int]bool // job, run, attempt; attempt 0 is always there
}

type factKey struct {
	job          string
	run, attempt int
	kind         contract.Kind
}

func newOracle(all []said) *oracle {
	o := &oracle{voices: make(map[factKey][]said), runs: make(map[string]map[int]map[int]bool)}
	for _, s := range all {
		e := s.event
		if e.Kind.OfUnit() {
			continue
		}
		k := factKey{e.JobID, e.Run, e.Attempt, e.Kind}
		o.voices[k] = append(o.voices[k], s)
		if o.runs[e.JobID] == nil {
			o.runs[e.JobID] = make(map[int]map[int]bool)
		}
		if o.runs[e.JobID][e.Run] == nil {
			o.runs[e.JobID][e.Run] = map[int]bool{0: true}
		}
		o.runs[e.JobID][e.Run][e.Attempt] = true
	}
	return o
}

func (o *oracle) has(job string, run, attempt int, kind contract.Kind) bool {
	return len(o.voices[factKey{job, run, attempt, kind}]) > 0
}

// reason joins what all voices of a fact gave as its reason: the bridge's where only Kubernetes can
// know, otherwise the processor's, otherwise anybody's; the earlier in the list among several.
func (o *oracle) reason(job string, run, attempt int, kind contract.Kind) contract.Reason {
	best, bestClass := contract.Reason("none"), 9
	for _, s := range o.voices[factKey{job, run, attempt, kind}] {
		class := 2
		switch {
		case s.event.Source == contract.SourceBridge && s.event.Reason.Infrastructure():
			class = 0
		case s.event.Source == contract.SourceProcessor:
			class = 1
		}
		if class < bestClass || class == bestClass && s.event.Reason.Rank() < best.Rank() {
			best, bestClass = s.event.Reason, class
		}
	}
	return best
}

// outcome is how a run ended: succeeded, else cancelled, else failed.
func (o *oracle) outcome(job string, run int) contract.State {
	for attempt := range o.runs[job][run] {
		if o.has(job, run, attempt, contract.Succeeded) {
			return contract.StateSucceeded
		}
	}
	switch {
	case o.has(job, run, 0, contract.CancelledKind):
		return contract.StateCancelled
	case o.has(job, run, 0, contract.Failed):
		return contract.StateFailed
	}
	return ""
}

func highest[V any](m map[int]V) (n int) {
	for k := range m {
		n = max(n, k)
	}
	return n
}

func (o *oracle) state(job string) contract.State {
	run := highest(o.runs[job])
	attempt := highest(o.runs[job][run])
	outcome := o.outcome(job, run)
	switch {
	case outcome != "":
		return outcome
	case attempt > 0 && (o.has(job, run, attempt, contract.AttemptFailed) || o.has(job, run, attempt, contract.AttemptDisrupted)):
		return contract.StateRetrying
	case attempt > 0:
		return contract.StateRunning
	case o.has(job, run, 0, contract.Queued):
		return contract.StateQueued
	}
	return contract.StateAccepted
}

// attempt counts one attempt, and tells whether it failed.
func (o *oracle) attempt(c *contract.AttemptCounts, job string, run, attempt int) bool {
	c.Total++
	if attempt > 1 {
		c.Second++
	}
	switch {
	case o.has(job, run, attempt, contract.Succeeded):
		c.Succeeded++
	case o.has(job, run, attempt, contract.AttemptDisrupted):
		c.Disrupted++
	case o.has(job, run, attempt, contract.AttemptFailed):
		c.Failed++
		return true
	case attempt < highest(o.runs[job][run]), o.outcome(job, run) != "":
		c.Superseded++
	default:
		c.Running++
	}
	return false
}

func (o *oracle) sum() contract.Sum {
	s := contract.Sum{Failures: make(map[contract.Reason]int)}
	for job, runs := range o.runs {
		s.Jobs.Submitted++
		*s.Jobs.Of(o.state(job))++
		for run, attempts := range runs {
			failed := 0
			for n := range attempts {
				if n > 0 && o.attempt(&s.Attempts, job, run, n) {
					failed++
					s.Failures[o.reason(job, run, n, contract.AttemptFailed)]++
				}
			}
			outcome := o.outcome(job, run)
			if outcome == contract.StateFailed && failed == 0 {
				failed = 1
				s.Failures[o.reason(job, run, 0, contract.Failed)]++
			}
			s.FailedJob += failed
			s.JobRetry += failed
			switch outcome {
			case contract.StateFailed:
				s.JobRetry--
			case contract.StateSucceeded:
				s.SucceedJob++
			}
		}
	}
	return s
}

func TestTheFoldCountsWhatTheDesignSays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		a := newAuthor(1000 + seed)
		a.chaos(1+a.rng.IntN(30), 10+a.rng.IntN(500))
		all := a.check(t)
		l := fill(newLedger(testRules), shuffled(all, a.rng))
		if d := cmp.Diff(newOracle(all).sum(), l.books.total.Sums.Sum()); d != "" {
			t.Fatalf("seed %d: the plain count and the fold:\n%s", seed, d)
		}
		for _, k := range l.books.list { // so the stats of all time leave out the same names whichever of both decides
			if s := k.Sums.Sum(); k.Sums.Jobs() == 0 && !s.Empty() {
				t.Fatalf("seed %d: the book %s.%s has no job and shows %+v", seed, k.queue, k.typ, s)
			}
		}
	}
}
