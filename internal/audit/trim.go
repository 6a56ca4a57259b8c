package audit

import (
	"tallyman/contract"
	"tallyman/internal/stream"
)

// trimmed tells whether a document cannot be held to the stream because that has dropped its oldest events, which it
// may: they are kept for a little longer than documents of ended jobs. have is the document, nil where there is none,
// and want what is left of its events adds up to.
func (l *look) trimmed(id string, have *contract.Job, want []byte) bool {
	if l.replay.First() <= 1 {
		return false
	}
	floor := l.asOf.Time.Add(-l.o.Retention) // what ended later has a document
	if have == nil {
		// What was said behind the end of a job that is gone, such as the bridge's word of its claim, looks like a job
		// that runs and that nobody submitted; no end is left of it by which it would go.
		j := decodeJob(stream.Entry{Value: want}, id)
		return j != nil && j.Orphan && j.SubmittedAt.Before(floor)
	}
	if len(have.Events) > 0 && have.Events[0] < l.replay.First() {
		return true
	}
	// Each event makes a few jobs go at most, the oldest first. The replay knows fewer of those, so that it is ahead of
	// the ledger where many are due at once. The ledger itself tells the oldest that it still has.
	last := have.UpdatedAt.Time
	if have.SubmittedAt.After(last) {
		last = have.SubmittedAt.Time
	}
	return want == nil && have.State.Ended() && last.Before(floor) && !last.Before(l.shown.Kept.Jobs.Time)
}
