package aggregator

import (
	"testing"
	"time"

	"tallyman/contract"
)

// A backlog in one queue hides no job that waits in another, however much newer that is: nobody else would ever
// look after it.
func TestABacklogHidesNoOtherQueue(t *testing.T) {
	t.Parallel()
	l, seq := newLedger(rules{retention: DefaultRetention, window: DefaultWindow}), uint64(0)
	say := func(n int, queue string, kind contract.Kind) {
		seq++
		at := time.UnixMilli(1_800_000_000_000 + int64(seq))
		e := event(testID(n), 1, 0, kind, 0)
		e.Queue, e.Time, e.SubmittedAt = queue, contract.At(at), contract.At(at)
		l.fold(seq, at, e)
	}
	const backlog = 3 * contract.MaxAttention
	for n := range backlog {
		say(n, "busy", contract.Submitted)
		say(n, "busy", contract.Queued)
	}
	for n := range 5 {
		say(backlog+n, "quiet", contract.Submitted)
		say(backlog+n, "quiet", contract.Queued)
	}
	say(backlog, "quiet", contract.CancelledKind)
	a := l.attention()
	of := make(map[string]int)
	for i, it := range a.Queued {
		of[it.Queue]++
		if i > 0 && it.Since.Before(a.Queued[i-1].Since.Time) {
			t.Errorf("%s stands behind a newer one", it.JobID)
		}
	}
	if of["quiet"] != 4 || of["busy"] != contract.MaxAttention-4 || a.More != backlog-of["busy"] || len(a.Accepted) > 0 {
		t.Errorf("%v are listed, and %d more are not", of, a.More)
	}
	if a.Queued[0].JobID != testID(0) {
		t.Errorf("the oldest of the backlog is not among them")
	}
}
