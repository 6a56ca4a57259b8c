package audit

import (
	"cmp"
	"slices"
	"time"

	"tallyman/contract"
)

// How long each kind of evidence must stay as it is before it is believed.
const (
	// patience is for what is read in an order in which it cannot be under way; it only makes sure.
	patience = 2 * time.Second
	// settlePatience is for what a bridge settles: it looks at every open claim once a minute.
	settlePatience = 3 * time.Minute
	// letterPatience is for messages that the scheduler's sweep of the dead-letter queue may have in its hands.
	letterPatience = 6 * time.Minute
)

// maxSuspects is how many subjects are judged alone. Where more do not fit, the first of them tell enough, and that
// there are more is told.
const maxSuspects = 2000

// subject is what is judged alone: one job, queue, key of the bucket "jobs", unit, or the stream. Exactly one
// field is set, but for a unit, which has its cluster.
type subject struct {
	job, queue, key, unit string
	stream                bool
}

// suspicion is something about a subject that does not fit at one look.
type suspicion struct {
	finding  contract.Finding
	evidence string        // what it rests on; when it changes, something moves, and patience begins anew
	patience time.Duration // how long it must stay
	folded   bool          // the ledger must also have come to where the stream was at first
}

// suspect is a suspicion and its history.
type suspect struct {
	suspicion
	since  time.Time
	last   uint64 // of the stream, when it was first suspected
	ledger uint64 // how far the ledger had come at the last look
}

func (s *suspect) ripe(now time.Time) bool {
	return now.Sub(s.since) >= s.patience && (!s.folded || s.ledger >= s.last)
}

// memory is what is suspected, by subject.
type memory map[subject]map[string]*suspect

// judged takes the verdict on a subject.
func (m memory) judged(of subject, found []suspicion, now time.Time, last, ledger uint64) {
	was := m[of]
	is := make(map[string]*suspect, len(found))
	for _, f := range found {
		key := string(f.finding.Kind) + " " + f.finding.Unit + " " + f.evidence
		s := was[key]
		if s == nil {
			s = &suspect{since: now, last: last}
		}
		s.suspicion, s.ledger = f, ledger
		s.finding.Since = contract.At(s.since)
		is[key] = s
	}
	if len(is) == 0 {
		delete(m, of)
		return
	}
	m[of] = is
}

// each suspect.
func (m memory) each(fn func(*suspect)) {
	for _, all := range m {
		for _, s := range all {
			fn(s)
		}
	}
}

// waiting tells whether any suspect would be ripe by a moment, and is not now.
func (m memory) waiting(now, until time.Time) bool {
	is := false
	m.each(func(s *suspect) { is = is || !s.ripe(now) && !s.since.Add(s.patience).After(until) })
	return is
}

// findings are the ripe suspects, and how many are not.
func (m memory) findings(now time.Time) (all []contract.Finding, pending int) {
	m.each(func(s *suspect) {
		if s.ripe(now) {
			all = append(all, s.finding)
		} else {
			pending++
		}
	})
	slices.SortFunc(all, func(a, b contract.Finding) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.JobID, b.JobID), cmp.Compare(a.Run, b.Run),
			cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Key, b.Key))
	})
	return all, pending
}
