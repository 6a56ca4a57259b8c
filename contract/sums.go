package contract

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Cell is one number of Sums.
type Cell int

// The cells. A job is in one state; a unit's fact makes no job known.
const (
	CellState       Cell = 0 // one for each of States
	CellSucceedJob  Cell = 7 // runs that succeeded
	CellRunsFailed  Cell = 8 // runs that ended failed
	CellFailedJob   Cell = 9 // failed attempts; a run that failed without one counts one
	CellOrphans     Cell = 10
	CellAttempts    Cell = 11
	CellRunning     Cell = 12
	CellSucceeded   Cell = 13
	CellFailed      Cell = 14
	CellDisrupted   Cell = 15
	CellSuperseded  Cell = 16
	CellSecond      Cell = 17
	CellWasteMS     Cell = 18 // of attempts that led to nothing
	CellWorkMS      Cell = 19 // of attempts that succeeded
	CellWasteCPU    Cell = 20 // millicores × seconds requested by attempts that led to nothing
	CellWasteMemory Cell = 21 // MiB × seconds, likewise
	CellWasteKnown  Cell = 22 // how many of those attempts have their requests known
	CellNoop        Cell = 23
	CellDuplicate   Cell = 24
	CellRejected    Cell = 25
	CellClaimFailed Cell = 26
	CellReason      Cell = 27 // one for each of Reasons
	Cells                = int(CellReason) + len(reasons)
)

// Sums is what jobs add up to: every cell is a sum over facts, so Sums of parts add up to the Sums of the
// whole. As JSON it names the cells that are not 0.
type Sums [Cells]int64

// cellNames is never written to.
var cellNames = func() (names [Cells]string) {
	for i, s := range States() {
		names[int(CellState)+i] = "jobs." + string(s)
	}
	copy(names[CellSucceedJob:], []string{
		"succeedJob", "runsFailed", "failedJob", "orphans", "attempts.total", "attempts.running", "attempts.succeeded",
		"attempts.failed", "attempts.disrupted", "attempts.superseded", "attempts.second", "wasteMs", "workMs",
		"wasteMillicoreSeconds", "wasteMiBSeconds", "wasteKnown", "units.noop", "units.duplicate", "units.rejected",
		"units.claimFailed",
	})
	for i, r := range reasons {
		names[int(CellReason)+i] = "failures." + string(r)
	}
	return names
}()

// CellNames lists the names of the cells, in their order.
func CellNames() []string { return slices.Clone(cellNames[:]) }

// stateCells is never written to.
var stateCells = func() map[State]Cell {
	m := make(map[State]Cell)
	for i, s := range States() {
		m[s] = CellState + Cell(i)
	}
	return m
}()

// CellOfState is the cell that counts the jobs in a state of the closed set.
func CellOfState(s State) Cell { return stateCells[s] }

// Add puts sign times o into s.
func (s *Sums) Add(o *Sums, sign int64) {
	for i, n := range o {
		s[i] += sign * n
	}
}

// Jobs is how many jobs the sums are of: each is in exactly one state.
func (s *Sums) Jobs() (n int64) {
	for i := range States() {
		n += s[int(CellState)+i]
	}
	return n
}

// Off counts the cells in which two sums differ.
func (s *Sums) Off(o *Sums) (n int) {
	for i := range s {
		if s[i] != o[i] {
			n++
		}
	}
	return n
}

// MarshalJSON names the cells that are not 0, in their order.
func (s Sums) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, n := range s {
		if n == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"%s":%d`, cellNames[i], n)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON refuses a cell that it does not know: what it counts would be lost.
func (s *Sums) UnmarshalJSON(b []byte) error {
	var named map[string]int64
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	*s = Sums{}
	for name, n := range named {
		at := slices.Index(cellNames[:], name)
		if at < 0 {
			return fmt.Errorf("sums: there is no cell %q", CutText(name, MaxToken))
		}
		s[at] = n
	}
	return nil
}

// Sum is the sums as the stats show them.
func (s *Sums) Sum() Sum {
	w := Sum{
		SucceedJob: s.at(CellSucceedJob), FailedJob: s.at(CellFailedJob), JobRetry: s.at(CellFailedJob) - s.at(CellRunsFailed),
		Jobs: JobCounts{Submitted: int(s.Jobs())},
		Attempts: AttemptCounts{
			Total: s.at(CellAttempts), Running: s.at(CellRunning), Succeeded: s.at(CellSucceeded), Failed: s.at(CellFailed),
			Disrupted: s.at(CellDisrupted), Superseded: s.at(CellSuperseded), Second: s.at(CellSecond),
		},
		Failures: make(map[Reason]int),
	}
	for _, state := range States() {
		*w.Jobs.Of(state) = s.at(CellOfState(state))
	}
	for i, r := range reasons {
		if n := s.at(CellReason + Cell(i)); n != 0 {
			w.Failures[r] = n
		}
	}
	return w
}

// Waste is the part of the sums that was for nothing.
func (s *Sums) Waste() Waste {
	return Waste{
		AttemptSeconds: float64(s[CellWasteMS]) / 1000, WorkSeconds: float64(s[CellWorkMS]) / 1000,
		CPUSeconds: float64(s[CellWasteCPU]) / 1000, MemoryMiBSeconds: s.at(CellWasteMemory), Known: s.at(CellWasteKnown),
	}
}

// Units is the facts of units, which belong to no job.
func (s *Sums) Units() UnitCounts {
	return UnitCounts{
		Noop: s.at(CellNoop), Duplicate: s.at(CellDuplicate), Rejected: s.at(CellRejected), ClaimFailed: s.at(CellClaimFailed),
	}
}

func (s *Sums) at(c Cell) int { return int(s[c]) }
