package explain

import (
	"time"

	"tallyman/contract"
)

// row is one situation: when it holds, what is said of it, and what a person can do. The first row that holds
// is the job's situation, so each may take for granted that none before it holds.
type row struct {
	name  string
	holds func(*Facts) bool
	says  func(*Facts) string
	next  func(*Facts) []string // nil: there is nothing to do but to wait
	due   func(*Facts) time.Time
}

// Explain says where a job is and what it waits for, or why it ended as it did.
func Explain(f *Facts) contract.Explanation {
	j := &f.Job
	x := contract.Explanation{
		JobID: j.JobID, Queue: j.Queue, Type: j.Type, State: j.State, Reason: j.Reason, Run: j.Run, Attempt: j.Attempt,
		At: contract.At(f.Now), Evidence: evidence(f), Next: []string{}, Attempts: []contract.AttemptOf{},
	}
	r := situation(f)
	x.Situation, x.Sentence = r.name, r.says(f)
	if r.next != nil {
		x.Next = r.next(f)
	}
	if r.due != nil {
		x.Due = contract.At(r.due(f))
	}
	x.More = max(0, len(f.Attempts)-contract.MaxExplained)
	x.Attempts = append(x.Attempts, f.Attempts[x.More:]...)
	return x
}

// Situations lists the closed set of words, each once, in the order in which they are looked for.
func Situations() []string {
	var names []string
	for _, r := range allRows() {
		if len(names) == 0 || names[len(names)-1] != r.name {
			names = append(names, r.name)
		}
	}
	return names
}

func allRows() []row {
	var all []row
	for _, t := range [][]row{rerunRows[:], endedRows[:], waitingRows[:], blockedRows[:], orderlyRows[:]} {
		all = append(all, t...)
	}
	return all
}

func situation(f *Facts) row {
	for _, r := range allRows() {
		if r.holds(f) {
			return r
		}
	}
	return orderlyRows[len(orderlyRows)-1]
}

// in tells whether the ledger holds the job in one of some states.
func in(states ...contract.State) func(*Facts) bool {
	return func(f *Facts) bool {
		for _, s := range states {
			if f.Job.State == s {
				return true
			}
		}
		return false
	}
}

func both(a, b func(*Facts) bool) func(*Facts) bool {
	return func(f *Facts) bool { return a(f) && b(f) }
}

var (
	accepted  = in(contract.StateAccepted)
	queued    = in(contract.StateQueued)
	running   = in(contract.StateRunning)
	retrying  = in(contract.StateRetrying)
	unstarted = in(contract.StateAccepted, contract.StateQueued)
	started   = in(contract.StateRunning, contract.StateRetrying)
	unended   = in(contract.StateAccepted, contract.StateQueued, contract.StateRunning, contract.StateRetrying)
)
