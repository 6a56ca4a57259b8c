package aggregator

import (
	"fmt"
	"slices"

	"tallyman/contract"
)

// cell is one number of a sum. The names of the cells are what the checkpoint is read back by.
type cell int

const (
	cellState      cell = 0 // one for each of contract.States
	cellRuns            = cell(7)
	cellRunsFailed      = cellRuns + 1
	cellSeedFailed      = cellRuns + 2
	cellOrphans         = cellRuns + 3
	cellWasteMS         = cellRuns + 4
	cellWorkMS          = cellRuns + 5
	cellAttempts        = cellRuns + 6
	cellRunning         = cellAttempts + 1
	cellSucceeded       = cellAttempts + 2
	cellFailed          = cellAttempts + 3
	cellDisrupted       = cellAttempts + 4
	cellSuperseded      = cellAttempts + 5
	cellSecond          = cellAttempts + 6
	cellReason          = cellAttempts + 7 // one for each of contract.Reasons
	cells               = int(cellReason) + 18
)

// sum is what jobs add up to. Every cell is Σ f(facts of a job), so that a job's part can be taken out
// before an event and put back after it.
type sum [cells]int64

// cellNames names every cell, in order.
var cellNames = func() (names [cells]string) {
	for i, s := range contract.States() {
		names[int(cellState)+i] = "jobs." + string(s)
	}
	for i, s := range []string{"runs.succeeded", "runs.failed", "failedJob", "orphans", "wasteMs", "workMs",
		"attempts.total", "attempts.running", "attempts.succeeded", "attempts.failed", "attempts.disrupted",
		"attempts.superseded", "attempts.second"} {
		names[int(cellRuns)+i] = s
	}
	for i, r := range contract.Reasons() {
		names[int(cellReason)+i] = "failures." + string(r)
	}
	return names
}()

var stateCells = func() map[contract.State]cell {
	m := make(map[contract.State]cell)
	for i, s := range contract.States() {
		m[s] = cellState + cell(i)
	}
	return m
}()

// add puts sign times o into s.
func (s *sum) add(o *sum, sign int64) {
	for i, n := range o {
		s[i] += sign * n
	}
}

// jobs is how many jobs the sum is of: each is in exactly one state.
func (s *sum) jobs() (n int64) {
	for i := range contract.States() {
		n += s[int(cellState)+i]
	}
	return n
}

// off counts the cells in which two sums differ.
func (s *sum) off(o *sum) (n int) {
	for i := range s {
		if s[i] != o[i] {
			n++
		}
	}
	return n
}

// wire is the sum with its zeros left out: cell, number, cell, number.
func (s *sum) wire() []int64 {
	w := []int64{}
	for i, n := range s {
		if n != 0 {
			w = append(w, int64(i), n)
		}
	}
	return w
}

// read takes back what wire gave, maybe under other numbers of the cells.
func (s *sum) read(w []int64, from []cell) error {
	if len(w)%2 != 0 {
		return fmt.Errorf("%d numbers are not pairs of cell and number", len(w))
	}
	for i := 0; i < len(w); i += 2 {
		if w[i] < 0 || w[i] >= int64(len(from)) {
			return fmt.Errorf("there is no cell %d", w[i])
		}
		s[from[w[i]]] = w[i+1]
	}
	return nil
}

// cellsOf finds the cells of a list of their names, which may be of another version.
func cellsOf(names []string) ([]cell, error) {
	from := make([]cell, len(names))
	for i, name := range names {
		at := slices.Index(cellNames[:], name)
		if at < 0 {
			return nil, fmt.Errorf("there is no cell %q", name)
		}
		from[i] = cell(at)
	}
	return from, nil
}

// tally is one job's part of the books: f(facts).
type tally struct {
	sum     sum
	samples []sample
}

// sample is how long one stage took.
type sample struct {
	stage stage
	ms    int64
}

// count makes t the part of j.
func (t *tally) count(j *job) {
	t.clear()
	t.sum[stateCells[j.state()]]++
	if j.orphan() {
		t.sum[cellOrphans]++
	}
	for i := range j.runs {
		t.countRun(&j.runs[i])
	}
}

func (t *tally) countRun(r *run) {
	ended := r.ended()
	failures := t.sum[cellFailed]
	for i := range r.attempts {
		t.countAttempt(r, i, ended)
	}
	failures = t.sum[cellFailed] - failures
	t.sum[cellSeedFailed] += failures
	switch ended.kind {
	case endSucceeded:
		t.sum[cellRuns]++
	case endFailed:
		t.sum[cellRunsFailed]++
		if failures == 0 { // so that failedJob less jobRetry is always the runs that ended failed
			t.sum[cellSeedFailed]++
			t.reason(ended.reason)
		}
	}
	t.sample(stageQueue, r.submitted, r.queued)
	t.sample(stageClaim, r.queued, r.claimed())
	if ended.kind != endNone {
		t.sample(stageOverall, r.submitted, ended.at)
	}
}

// claimed is when the run was first claimed; 0 where nobody said so.
func (r *run) claimed() (at int64) {
	for i := range r.attempts {
		at = earlier(at, r.attempts[i].claimed)
	}
	return at
}

func (t *tally) countAttempt(r *run, i int, ended *ending) {
	a := &r.attempts[i]
	t.sum[cellAttempts]++
	if a.number > 1 {
		t.sum[cellSecond]++
	}
	t.sample(stageStart, a.claimed, a.started)
	if a.end.kind == endNone {
		t.countOpen(r, i, ended)
		return
	}
	t.sample(stageWork, a.started, a.end.at)
	took := max(0, a.end.at-a.begun())
	if a.end.kind == endSucceeded {
		t.sum[cellSucceeded]++
		t.sum[cellWorkMS] += took
		return
	}
	t.sum[cellWasteMS] += took
	if a.end.kind == endDisrupted {
		t.sum[cellDisrupted]++
		return
	}
	t.sum[cellFailed]++
	t.reason(a.end.reason)
}

// countOpen counts an attempt that nobody said an ending of.
func (t *tally) countOpen(r *run, i int, ended *ending) {
	until, superseded := r.superseded(i, ended)
	if !superseded {
		t.sum[cellRunning]++
		return
	}
	t.sum[cellSuperseded]++
	t.sum[cellWasteMS] += max(0, until-r.attempts[i].begun())
}

func (t *tally) reason(r reason) {
	if r != noReason {
		t.sum[cellReason+cell(r)]++
	}
}

// sample notes a stage whose two ends are known. Clocks differ, so a stage may seem to end before it
// began; it then took no time.
func (t *tally) sample(s stage, from, to int64) {
	if from != 0 && to != 0 {
		t.samples = append(t.samples, sample{s, max(0, to-from)})
	}
}

func (t *tally) clear() { t.sum, t.samples = sum{}, t.samples[:0] }
