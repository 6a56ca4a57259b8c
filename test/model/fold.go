package model

// facts is the set of what was said of a run: it does not matter when, nor how often.
type facts uint32

const (
	submitted facts = 1 << iota
	queued
	runFailed
	runCancelled
	runLost // how it failed
	attemptFacts
)

// kinds of an attempt's facts.
const (
	claimed = iota
	started
	attemptFailed
	attemptDisrupted
	attemptSucceeded
	factsOfAttempt
)

// of is the fact of an attempt, which counts from 1.
func of(attempt uint8, kind int) facts {
	return attemptFacts << (factsOfAttempt*(int(attempt)-1) + kind)
}

func (f facts) has(g facts) bool { return f&g != 0 }

func (f facts) success() bool {
	for n := uint8(1); n <= podsOfUnit; n++ {
		if f.has(of(n, attemptSucceeded)) {
			return true
		}
	}
	return false
}

// phase is a run's state in the fold, in the order in which one outranks another.
type phase uint8

const (
	unknown phase = iota
	accepted
	isQueued
	running
	retrying
	isSucceeded
	isCancelled
	isFailed
)

var phaseNames = [...]string{"unknown", "accepted", "queued", "running", "retrying", "succeeded", "cancelled", "failed"}

func (p phase) ended() bool { return p >= isSucceeded }

// phase folds the facts of a run.
func (f facts) phase() phase {
	switch {
	case f == 0:
		return unknown
	case f.success():
		return isSucceeded
	case f.has(runCancelled):
		return isCancelled
	case f.has(runFailed):
		return isFailed
	}
	for n := uint8(podsOfUnit); n >= 1; n-- {
		switch {
		case f.has(of(n, attemptFailed) | of(n, attemptDisrupted)):
			return retrying
		case f.has(of(n, claimed) | of(n, started)):
			return running
		}
	}
	if f.has(queued) {
		return isQueued
	}
	return accepted
}

// hear adds facts to what was said of a run.
func (s *state) hear(r run, f facts) {
	s.events[r] |= f
	s.arrived[r.job()] = arrivedAs(f)
}

// arrivedAs is the state that the last fact alone would give.
func arrivedAs(f facts) phase { return f.phase() }

// newest is the newest run of a job that the ledger knows, -1 for none.
func (s *state) newest(job int) int {
	for n := runsOfJob - 1; n >= 0; n-- {
		if s.events[int(firstRun(job))+n] != 0 {
			return int(firstRun(job)) + n
		}
	}
	return -1
}

// phaseOf is a job's state in the ledger.
func (t *turn) phaseOf(s *state, job int) phase {
	r := s.newest(job)
	switch {
	case r < 0:
		return unknown
	case t.c.planted == trustsOrder:
		return s.arrived[job]
	}
	return s.events[r].phase()
}
