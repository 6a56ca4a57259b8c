package model

import "fmt"

// orphaned finds a run that nobody can ever carry on: its record names a unit, its message is gone, and no
// record and no process has its task.
func orphaned(s *state) string {
	for n := range s.runs {
		r := run(n)
		u := s.runs[r].owner.unit()
		if u < 0 || s.outcomes[r] != noOutcome || s.waiting(r) {
			continue
		}
		x := &s.units[u]
		if x.record != noRecord && s.taskOf(u) == r {
			continue
		}
		kept := false
		for _, q := range x.pods {
			kept = kept || (q.at == c5d || q.at == c5m) && s.messages[q.message].run == r
		}
		if !kept {
			return fmt.Sprintf("nobody has the task of run %s any more", r)
		}
	}
	return ""
}

// atRest holds a state to what is promised, where nothing can happen any more.
func (t *turn) atRest() string {
	if t.cramped() {
		return t.abandoned()
	}
	for j := range t.c.jobs {
		n := t.was.newest(j)
		if n < 0 {
			if t.c.foreign && j == 0 {
				return "a foreign job is not known"
			}
			continue
		}
		r := run(n)
		got, want := t.phaseOf(t.was, j), t.truth(r)
		switch {
		case !got.ended():
			return fmt.Sprintf("run %s is %s for ever", r, phaseNames[got])
		case got != want:
			return fmt.Sprintf("run %s is %s in the ledger and %s in the records", r, phaseNames[got], phaseNames[want])
		}
		for k := range runsOfJob {
			if wrong := t.was.contradicted(firstRun(j) + run(k)); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// cramped tells whether this world is at rest only because it has no further unit, pod or message to give.
func (t *turn) cramped() bool {
	s := t.was
	for _, m := range s.messages {
		if m.state == visible {
			return true
		}
	}
	for u := range s.units {
		if x := &s.units[u]; x.job == active && !x.living() {
			return true
		}
	}
	for j := range t.c.jobs {
		if s.posting[j] == 2 {
			return true
		}
	}
	return s.relay.at == 1 || s.requeuer.at == 3 || s.rerunner.at == 3
}

// abandoned finds, even in a cramped world, a run whose unit has ended and of which nobody will say so.
func (t *turn) abandoned() string {
	for j := range t.c.jobs {
		n := t.was.newest(j)
		if n < 0 {
			continue
		}
		if u := t.was.runs[n].owner.unit(); u >= 0 && t.was.units[u].job != active && !t.phaseOf(t.was, j).ended() {
			return fmt.Sprintf("the owner of run %s has ended, and nobody will say so", run(n))
		}
	}
	return ""
}

// truth is how a run ended by the records, or ended before they aged out.
func (t *turn) truth(r run) phase {
	switch o := t.was.runs[r].owner; o {
	case cancelledStone:
		return isCancelled
	case failedStone:
		return isFailed
	default:
		return [...]phase{unknown, isSucceeded, isFailed, isCancelled}[t.was.outcomes[r]]
	}
}

// contradicted holds what was said of one run to itself.
func (s *state) contradicted(r run) string {
	f := s.events[r]
	endings := 0
	for _, ending := range []bool{f.success(), f.has(runFailed), f.has(runCancelled)} {
		if ending {
			endings++
		}
	}
	switch {
	case f == 0:
		return ""
	case endings > 1:
		return fmt.Sprintf("run %s has two endings", r)
	case !f.has(submitted):
		return fmt.Sprintf("run %s is known and was never submitted", r)
	}
	return ""
}
