package dispatch

import (
	"context"
	"errors"
	"fmt"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// tries bounds every compare-and-set. A run record is written a handful of times in its life, so whoever
// loses this often is told that NATS is not well, and may try again.
const tries = 16

// again runs step until it is done or fails; a step that lost a race is run again, from its read on.
func again[T any](key string, step func() (T, error)) (T, error) {
	for range tries {
		v, err := step()
		if !errors.Is(err, stream.ErrConflict) {
			return v, err
		}
	}
	var none T
	return none, fmt.Errorf("%s: lost %d races: %w", key, tries, stream.ErrUnavailable)
}

// run reads a run's record; revision 0 where there is none.
func (d *Dispatcher) run(ctx context.Context, key string) (contract.RunRecord, uint64, error) {
	e, err := d.claims.Get(ctx, key)
	if errors.Is(err, stream.ErrNotFound) {
		return contract.RunRecord{}, 0, nil
	}
	if err != nil {
		return contract.RunRecord{}, 0, err
	}
	r, err := contract.DecodeRun(e.Value)
	if err != nil {
		return contract.RunRecord{}, 0, unreadable(key, err)
	}
	return r, e.Revision, nil
}

// unreadable hides the code of err: what is wrong with a record of ours is no fault of who asked.
func unreadable(key string, err error) error {
	return contract.Errorf(contract.CodeInternal, "", "the record %s/%s cannot be read: %v; `tallyman verify` names it, too", contract.BucketClaims, key, err)
}

// setRun writes a run's record over the revision that was read, 0 for none.
func (d *Dispatcher) setRun(ctx context.Context, key string, r contract.RunRecord, revision uint64) error {
	b, err := r.Encode()
	if err != nil {
		return fmt.Errorf("claims/%s: %w", key, err)
	}
	if revision == 0 {
		_, err = d.claims.Create(ctx, key, b)
	} else {
		_, err = d.claims.Update(ctx, key, b, revision)
	}
	return err
}

func runKey(t *contract.Task) string { return contract.RunKey(t.Queue, t.JobID, t.Run) }
