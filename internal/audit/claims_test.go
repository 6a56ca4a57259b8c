package audit

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// keep puts a record on the shelf, as it was written some time ago.
func (s shelf) keep(t *testing.T, key string, record interface{ Encode() ([]byte, error) }, written time.Time) {
	t.Helper()
	b, err := record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s[key] = stream.Entry{Key: key, Value: b, Revision: 9, At: written}
}

// A cancel of a job that has ended writes `next: none` to its record all the same, so that looks younger than its end. How
// long ago the end was decides whether there must be a document.
func TestARecordIsAsOldAsItsEnd(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	ago := func(days int) time.Time { return clock.Now().Add(-time.Duration(days) * day) }
	owned := contract.RunRecord{Owner: "u", Next: contract.Next{Set: true}}
	ended := func(days int) *contract.RunRecord {
		return &contract.RunRecord{
			Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: contract.At(ago(days)), Next: contract.Next{Set: true},
		}
	}
	unit := func(days int) *contract.UnitRecord {
		return &contract.UnitRecord{
			State: contract.Closed, Unit: "u", Queue: "default", JobID: anyJob, Run: 1, Type: "probe", SubmittedAt: contract.At(ago(days)),
			Outcome: contract.OutcomeSucceeded, OutcomeAttempt: 1, Attempts: []string{"p"}, ClosedAt: contract.At(ago(days)), Said: true,
		}
	}
	open := unit(31)
	open.State, open.Outcome, open.OutcomeAttempt, open.ClosedAt, open.Said, open.Task = contract.Owned, "", 0, contract.Time{}, false, []byte("{}")
	for name, c := range map[string]struct {
		run     *contract.RunRecord
		unit    *contract.UnitRecord
		missing bool // the ledger must know of it
	}{
		"a tombstone of a job that is gone":     {ended(31), nil, false},
		"a tombstone that the ledger must know": {ended(6), nil, true},
		"a claim of a job that is gone":         {&owned, unit(31), false},
		"a claim that the ledger must know":     {&owned, unit(6), true},
		"a claim that is open":                  {&owned, open, true},
		"a unit that has aged out":              {&owned, nil, false},
		"a claim that was never written again":  {&contract.RunRecord{Owner: "u"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := &log{info: stream.Info{First: 1, Last: 10}, books: []stream.Entry{{Key: contract.KeyStats, Value: []byte(tenth)}}}
			ledger, claims := shelf{}, shelf{}
			ledger.put(contract.KeyStats, tenth, 2)
			claims.keep(t, contract.RunKey("default", anyJob, 1), c.run, ago(5))
			if c.unit != nil {
				claims.keep(t, contract.UnitKey("default", "u"), c.unit, ago(5))
			}
			clock := clockwork.NewFakeClockAt(clock.Now())
			r := twice(t, Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: claims}, clock)
			if named := len(r.Findings) > 0 && r.Findings[0].Kind == contract.ClaimUnknown; named != c.missing || len(r.Findings) > 1 {
				t.Errorf("%+v", r.Findings)
			}
		})
	}
}
