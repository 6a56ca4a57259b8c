package aggregator

import (
	"slices"

	"tallyman/contract"
)

// mark is one number that a job's facts add to the books, and the moment to which it belongs.
type mark struct {
	at  int64 // 0: none, or too many: it is in no window
	n   int64 // of a stage: how many milliseconds it took
	key key
}

// key is a cell of the sums, or behind those a stage.
type key uint16

const firstStage = key(contract.Cells)

// maxTimed is how many marks of a job are in windows, so that no job can be in more. One of ten runs with
// three attempts each has some three hundred.
const maxTimed = 512

// tally is one job's part of the books: f(facts), in the order of a life and its state last, so that what one
// more fact changes stands at the end.
type tally struct{ marks []mark }

func (t *tally) add(c contract.Cell, n, at int64) {
	if n == 0 {
		return
	}
	if len(t.marks) >= maxTimed {
		at = 0
	}
	t.marks = append(t.marks, mark{at, n, key(c)})
}

// sample notes a stage whose two ends are known, where it ended. Clocks differ, so a stage may seem to end
// before it began; it then took no time.
func (t *tally) sample(s contract.Stage, from, to int64) {
	if from == 0 || to == 0 {
		return
	}
	at := to
	if len(t.marks) >= maxTimed {
		at = 0
	}
	t.marks = append(t.marks, mark{at, max(0, to-from), firstStage + key(s)})
}

// count makes t the part of j. A job is counted in the window in which it was submitted, whatever its
// state, so that the states add up in each; but never ahead of its own events, whatever a clock said.
func (t *tally) count(j *job) {
	t.clear()
	for i := range j.runs {
		t.countRun(&j.runs[i])
	}
	if j.orphan() {
		t.add(contract.CellOrphans, 1, 0)
	}
	t.marks = append(t.marks, mark{min(j.submitted, j.updated), 1, key(contract.CellOfState(j.state()))})
}

func (t *tally) countRun(r *run) {
	ended := r.ended()
	t.sample(contract.StageQueue, r.submitted, r.queued)
	claimed := r.claimed()
	t.sample(contract.StageClaim, r.queued, claimed)
	if r.unit.made != 0 {
		t.sample(contract.StageUnit, r.queued, r.unit.made)
		t.sample(contract.StageBoot, r.unit.made, claimed)
	}
	failed := int64(0) // when the last attempt failed
	for i := range r.attempts {
		if t.countAttempt(r, i, ended) {
			failed = r.attempts[i].end.at
		}
	}
	switch ended.kind {
	case endNone:
		return
	case endSucceeded:
		t.add(contract.CellSucceedJob, 1, ended.at)
	case endFailed:
		if failed == 0 { // so that failedJob less jobRetry is always the runs that ended failed
			failed = ended.at
			t.add(contract.CellFailedJob, 1, failed)
			t.reason(ended.reason, failed)
		}
		t.add(contract.CellRunsFailed, 1, failed) // beside its failedJob, so that no window has less than none
	}
	t.sample(contract.StageOverall, r.submitted, ended.at)
}

// claimed is when the run was first claimed; 0 where nobody said so.
func (r *run) claimed() (at int64) {
	for i := range r.attempts {
		at = earlier(at, r.attempts[i].claimed)
	}
	return at
}

// countAttempt counts an attempt where it ended, or where it began while it has not, and tells whether it
// failed.
func (t *tally) countAttempt(r *run, i int, ended *ending) bool {
	a := &r.attempts[i]
	t.sample(contract.StageStart, a.claimed, a.started)
	kind, at := contract.CellRunning, a.begun()
	if until, superseded := r.superseded(i, ended); superseded {
		kind, at = contract.CellSuperseded, max(until, at)
	} else if a.end.kind != endNone {
		t.sample(contract.StageWork, a.started, a.end.at)
		kind, at = attemptCells[a.end.kind], a.end.at
	}
	took := max(0, at-a.begun())
	switch kind {
	case contract.CellRunning:
	case contract.CellSucceeded:
		t.add(contract.CellWorkMS, took, at)
	default:
		t.add(contract.CellWasteMS, took, at)
		t.requests(&r.unit, took, at)
	}
	t.add(contract.CellAttempts, 1, at)
	if a.number > 1 {
		t.add(contract.CellSecond, 1, at)
	}
	t.add(kind, 1, at)
	if kind != contract.CellFailed {
		return false
	}
	t.add(contract.CellFailedJob, 1, at)
	t.reason(a.end.reason, at)
	return true
}

// requests counts what an attempt that led to nothing kept from others, where that is known.
func (t *tally) requests(u *unit, took, at int64) {
	if u.millicores == 0 && u.mib == 0 {
		return
	}
	t.add(contract.CellWasteCPU, int64(u.millicores)*took/1000, at)
	t.add(contract.CellWasteMemory, int64(u.mib)*took/1000, at)
	t.add(contract.CellWasteKnown, 1, at)
}

var attemptCells = [...]contract.Cell{
	endSucceeded: contract.CellSucceeded, endDisrupted: contract.CellDisrupted, endFailed: contract.CellFailed,
}

func (t *tally) reason(r reason, at int64) {
	if r != noReason {
		t.add(contract.CellReason+contract.Cell(r), 1, at)
	}
}

func (t *tally) clear() { t.marks = t.marks[:0] }

// differ cuts off what two tallies have in common at their beginning and their end, which is most: an event
// adds one fact.
func differ(before, after []mark) (gone, come []mark) {
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	return before, after
}

// markOf is the mark of a unit's fact.
func markOf(k contract.Kind, at int64) mark {
	i := slices.Index([]contract.Kind{contract.Noop, contract.Duplicate, contract.Rejected, contract.ClaimFailed}, k)
	return mark{at, 1, key(contract.CellNoop) + key(i)}
}
