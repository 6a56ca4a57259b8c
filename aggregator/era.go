package aggregator

import (
	"context"
	"errors"
	"slices"
	"time"

	"tallyman/internal/stream"
)

// foldVersion is another whenever the fold makes another ledger of the same events. Two programs that differ in
// it, or in the rules that they were given, have other ledgers in memory, and neither can go on with the other's.
const foldVersion = 1

// era is by which rules the events behind a sequence were folded. The eras of a ledger are part of what it is: with
// them a replay makes the same one, whatever the rules were when.
type era struct {
	After     uint64 `json:"after"`
	Fold      int    `json:"fold"`      // 0: nobody knows
	Retention int64  `json:"retention"` // in milliseconds
	Window    int64  `json:"window"`    // likewise
}

type eras []era

// maxEras bounds the eras that are told apart: beyond it the oldest are nobody's.
const maxEras = 32

func (r *rules) era(after uint64) era {
	return era{after, foldVersion, r.retention.Milliseconds(), r.window.Milliseconds()}
}

// like tells whether both are by the same rules.
func (e era) like(o era) bool {
	e.After = o.After
	return e == o
}

// by tells whether the ledger would be carried on by the same rules.
func (all eras) by(r *rules) bool { return len(all) > 0 && all[len(all)-1].like(r.era(0)) }

// then carries on from a sequence by other rules. An era in which nothing was folded is none.
func (all eras) then(e era) eras {
	if len(all) == 0 && e.After > 0 {
		all = eras{{}} // an older version wrote it, and not by which rules
	}
	for len(all) > 0 && all[len(all)-1].After >= e.After {
		all = all[:len(all)-1]
	}
	switch {
	case len(all) > 0 && all[len(all)-1].like(e):
		return all
	case len(all) == maxEras:
		return append(append(eras{{}}, all[2:]...), e)
	}
	return append(slices.Clip(all), e)
}

// foreign is the last sequence that was folded in a way that is not this version's, so that it cannot be repeated
// here; 0: none.
func (all eras) foreign() (seq uint64) {
	for i, e := range all {
		if e.Fold == foldVersion {
			continue
		}
		if i+1 == len(all) {
			return ^uint64(0)
		}
		seq = all[i+1].After
	}
	return seq
}

// rules are those of an event; what is not known is as it is otherwise.
func (all eras) rules(seq uint64, otherwise rules) rules {
	for _, e := range slices.Backward(all) {
		if e.After < seq && e.Retention > 0 && e.Window > 0 {
			otherwise.retention, otherwise.window = time.Duration(e.Retention)*time.Millisecond, time.Duration(e.Window)*time.Millisecond
		}
		if e.After < seq {
			break
		}
	}
	return otherwise
}

// Checkpoints is the bucket "jobs", of which the checkpoint is read; Get gives stream.ErrNotFound where there is
// none.
type Checkpoints interface {
	Get(ctx context.Context, key string) (stream.Entry, error)
}

// erasOf reads by which rules the ledger was folded; none where there is no ledger yet.
func erasOf(ctx context.Context, from Checkpoints) (eras, error) {
	if from == nil {
		return nil, nil
	}
	e, err := getCheckpoint(ctx, from)
	if err != nil || e.Revision == 0 {
		return nil, err
	}
	var head checkpointHead
	err = decodeCheckpoint(e, &head, &head)
	switch {
	case errors.Is(err, errVersion):
		return eras{{}}, nil
	case err == nil && len(head.Eras) == 0:
		return eras{{}}, nil
	}
	return head.Eras, err
}
