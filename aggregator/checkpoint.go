package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// checkpointVersion 2 keeps the sums in documents of their own. A checkpoint of an older version is made anew
// from the stream.
const checkpointVersion = 2

// checkpoint is the last word of every commit: how far the ledger has come, on which stream, and all
// that its documents cannot give back.
type checkpoint struct {
	checkpointHead
	At        contract.Time `json:"at,omitzero"` // when the stream stored the event at Seq
	Event     string        `json:"event"`       // names the event at Seq
	Horizon   contract.Time `json:"horizon,omitzero"`
	Floor     contract.Time `json:"floor,omitzero"`
	Attention bool          `json:"attention"`      // the attention document is as new as this
	Left      int           `json:"left,omitempty"` // documents of another stream that are still to go
	UnitIDs   []byte        `json:"unitIds,omitempty"`
	FailedIDs []byte        `json:"claimFailedIds,omitempty"`
}

// checkpointHead is what a standby looks at.
type checkpointHead struct {
	V       int              `json:"v"`
	Seq     uint64           `json:"seq"`
	Stream  string           `json:"stream"` // when the stream was made: tells it from a successor
	Balance contract.Balance `json:"balance"`
	Eras    eras             `json:"eras,omitempty"` // none: an older version wrote it
}

// checkpoint is the ledger's own part of a checkpoint.
func (l *ledger) checkpoint() checkpoint {
	return checkpoint{
		checkpointHead: checkpointHead{V: checkpointVersion, Seq: l.seq, Balance: l.balance, Eras: l.eras},
		At:             contract.AtMilli(l.at), Horizon: contract.AtMilli(l.horizon), Floor: contract.AtMilli(l.floor),
		UnitIDs: l.units.said.wire(), FailedIDs: l.units.failed.wire(),
	}
}

// restore makes a ledger of what the checkpoint holds, to be carried on by r; its books are still to be read, and
// then its jobs to be admitted.
func (c *checkpoint) restore(r rules) (*ledger, error) {
	l := newLedger(r)
	l.seq, l.at, l.horizon = c.Seq, milli(c.At), milli(c.Horizon)
	l.eras = c.Eras.then(r.era(c.Seq))
	if l.floor = milli(c.Floor); l.floor == 0 { // an older version knew none
		l.floor = l.horizon - r.retention.Milliseconds()
	}
	l.balance, l.books.days = c.Balance, newDays(l.horizon, l.floor)
	l.judgeGap()
	if err := errors.Join(l.units.said.read(c.UnitIDs, maxUnitFacts), l.units.failed.read(c.FailedIDs, maxClaimFailures)); err != nil {
		return nil, fmt.Errorf("unit facts: %w", err)
	}
	return l, nil
}

// admit puts a job from its document into the ledger.
func (l *ledger) admit(d *contract.Job) error {
	id, ok := parseJobID(d.JobID)
	if !ok {
		return fmt.Errorf("%q is no job id", contract.CutText(d.JobID, contract.MaxToken))
	}
	if err := l.job.read(d, &l.queues, &l.types); err != nil {
		return err
	}
	l.bytes = l.job.pack(l.bytes[:0])
	l.jobs[id] = packed(l.bytes)
	l.after.count(&l.job)
	l.books.admit(l.slot(l.job.queue, l.job.kind), l.after.marks)
	l.order(id, place{})
	return nil
}

// errVersion is a checkpoint that another version of this program wrote.
var errVersion = errors.New("unknown version")

// decodeCheckpoint reads a checkpoint or its head. One of a newer version is not touched: it is for
// those who know it.
func decodeCheckpoint[T any](e stream.Entry, into *T, head *checkpointHead) error {
	if err := json.Unmarshal(e.Value, into); err != nil {
		return fmt.Errorf("%s at revision %d: %w", e.Key, e.Revision, err)
	}
	if head.V > checkpointVersion {
		return fmt.Errorf("%s at revision %d: %w %d; run the version that wrote it, or a later one",
			e.Key, e.Revision, errVersion, head.V)
	}
	return nil
}

// nameOf names an event by its bytes.
func nameOf(raw []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(raw) // a hash takes everything
	return fmt.Sprintf("%016x", h.Sum64())
}

// identity names a stream by when it was made.
func identity(i stream.Info) string { return i.Created.UTC().Format(time.RFC3339Nano) }
