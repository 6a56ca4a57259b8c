package contract

import (
	"encoding/json"
	"slices"
	"time"
)

// OnLost is what becomes of a run whose unit went away without anybody's work having failed.
type OnLost string

// The closed set of OnLost.
const (
	LostFails  OnLost = "fail"  // its job stays failed; so it is where nothing is said
	LostReruns OnLost = "rerun" // it gets another run at once
)

// MaxRecoveries is how many runs in a row are recovered: what is lost once more is not lost by chance.
const MaxRecoveries = 3

// FollowUp is the run that a failed job gets by itself.
type FollowUp struct {
	After  int        // the run that it follows, the newest
	Source TaskSource // FromRerun or FromRecovery
	At     Time       // not before
	Number int        // the how manieth in a row
	Most   int        // of so many
}

// FollowUp tells which run a job gets by itself: false where it has not failed, where no retry mends what it
// failed of (AppError), where its type and queue ask for none, or where it has had as many in a row as it may.
// It decides by the document alone, so all who ask give the same answer. Whether a cancel forbade it (`next:
// none`) stands in the run's record, and whether the scheduler is done with the failure already, its RerunMark tells.
func (c *Config) FollowUp(j *Job) (f FollowUp, ok bool) {
	q := c.Queue(j.Queue)
	if q == nil || j.State != StateFailed || len(j.Runs) == 0 {
		return f, false
	}
	newest := j.Runs[len(j.Runs)-1]
	f = FollowUp{After: newest.Run, Source: FromRecovery, At: newest.EndedAt, Most: MaxRecoveries}
	if f.Number = inARow(j, lost); q.OnLost == LostReruns && lost(newest.Reason) && f.Number <= f.Most {
		return f, true
	}
	t := q.Type(j.Type)
	if t == nil || t.Reruns == nil || newest.Reason == AppError {
		return f, false
	}
	f.Source, f.Most, f.Number = FromRerun, t.Reruns.Max, inARow(j, func(Reason) bool { return true })
	f.At = At(newest.EndedAt.Add(t.Reruns.wait(f.Number)))
	return f, f.Number <= f.Most
}

// lost tells whether a run ended by what only happened to its unit.
func lost(r Reason) bool { return r == Lost || r == Deleted }

// inARow counts the runs, from the newest back, that failed for such a reason. A requeue by a person counts as
// one: what failed so often will not be mended by one more.
func inARow(j *Job, of func(Reason) bool) (n int) {
	for _, r := range slices.Backward(j.Runs) {
		if r.Outcome != OutcomeFailed || !of(r.Reason) {
			break
		}
		n++
	}
	return n
}

// wait is how long the nth rerun in a row is put off: twice as long each time, up to MaxDelay.
func (r *Reruns) wait(n int) time.Duration {
	d := time.Duration(r.Delay)
	for range n - 1 {
		if d *= 2; d >= time.Duration(r.MaxDelay) {
			break
		}
	}
	return min(d, time.Duration(r.MaxDelay))
}

// RerunMark is how far the scheduler is done with all failures of a stream: what has failed up to there gets no
// further run any more, whatever the configuration asks for since. One that waits for its time holds the mark back.
type RerunMark struct {
	Stream string
	Seq    uint64
}

// StreamName tells the stream of events that was made at a moment from every other.
func StreamName(created time.Time) string { return created.UTC().Format(time.RFC3339Nano) }

// MarshalJSON makes the mark a list, so that whoever takes it for a schedule finds none in it.
func (m RerunMark) MarshalJSON() ([]byte, error) { return json.Marshal([]any{m.Stream, m.Seq}) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *RerunMark) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&m.Stream, &m.Seq})
}
