package dispatch

import (
	"context"
	"errors"
	"fmt"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Cancelled is what a cancel came to.
type Cancelled struct {
	Run   int
	Asked bool // a unit owns the run and was asked to stop; otherwise the run is cancelled already
}

// maxFollow bounds how many successors a cancel follows from the run that the ledger holds as the newest.
const maxFollow = 64

// Cancel ends a job by request, from t's run on, the newest that the ledger knows; ended tells of a run
// whether the ledger holds it as ended. A run that nobody owns gets a tombstone, and the word is said; of
// one that is owned `next` becomes none, and its unit is asked to stop. CodeConflict: it has ended.
func (d *Dispatcher) Cancel(ctx context.Context, t contract.Task, ended func(run int) bool) (Cancelled, error) {
	for range maxFollow {
		r, err := again(runKey(&t), func() (contract.RunRecord, error) { return d.barRun(ctx, &t, ended) })
		switch {
		case err != nil:
			return Cancelled{}, err
		case r.Next.Run > 0:
			if err := d.followTo(ctx, &t, r.Next.Run); err != nil {
				return Cancelled{}, err
			}
		case r.Tombstone && r.Outcome == contract.OutcomeCancelled:
			return Cancelled{Run: t.Run}, d.say(ctx, contract.CancelledKind, &t, r.At, nil)
		case r.Tombstone:
			return Cancelled{}, hasEnded(&t)
		default:
			return d.askUnit(ctx, &t, r.Owner)
		}
	}
	return Cancelled{}, fmt.Errorf("cancel %s: followed %d runs: %w", t.JobID, maxFollow, stream.ErrUnavailable)
}

// CancelUnclaimed ends t's run by request only where nobody owns it, and tells whether it did. What a unit has
// claimed goes on, and so does whatever came behind it; a run that was ended before stays what it is, and its word
// is said once more where it is a cancel's. Of t its names are needed, and when it was submitted.
func (d *Dispatcher) CancelUnclaimed(ctx context.Context, t contract.Task) (bool, error) {
	r, made, err := d.entomb(ctx, &t, contract.RunRecord{Outcome: contract.OutcomeCancelled})
	if err != nil || !r.Tombstone || r.Outcome != contract.OutcomeCancelled {
		return false, err
	}
	return made, d.say(ctx, contract.CancelledKind, &t, r.At, nil)
}

// barRun makes sure that t's run has a record that leads on, to a successor, or to an end: a cancelled
// tombstone where there was no record, `next: none` where there is an owner.
func (d *Dispatcher) barRun(ctx context.Context, t *contract.Task, ended func(run int) bool) (contract.RunRecord, error) {
	key := runKey(t)
	r, revision, err := d.run(ctx, key)
	switch {
	case err != nil:
		return r, err
	case revision == 0 && ended(t.Run):
		return r, hasEnded(t)
	case revision == 0:
		r = contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: d.at()}
	case r.Next.Set, r.Tombstone && r.Outcome == contract.OutcomeCancelled:
		return r, nil
	default:
		r.Next = contract.Next{Set: true}
	}
	return r, d.setRun(ctx, key, r, revision)
}

// followTo turns t into its successor's task and says that run's `submitted`: whoever set `next` may have
// crashed before saying it, and a run may not be known by its cancellation alone.
func (d *Dispatcher) followTo(ctx context.Context, t *contract.Task, run int) error {
	t.Run, t.Source, t.NotBefore = run, contract.FromRequeue, contract.Time{}
	body, err := t.Encode()
	if err != nil {
		return err
	}
	return d.say(ctx, contract.Submitted, t, d.at(), body)
}

// askUnit sets cancelRequested in the record of the unit that owns the run; claim and run obey it.
func (d *Dispatcher) askUnit(ctx context.Context, t *contract.Task, unit string) (Cancelled, error) {
	key := contract.UnitKey(t.Queue, unit)
	return again(key, func() (Cancelled, error) {
		e, err := d.claims.Get(ctx, key)
		if errors.Is(err, stream.ErrNotFound) {
			return Cancelled{}, hasEnded(t)
		}
		if err != nil {
			return Cancelled{}, err
		}
		u, err := contract.DecodeUnit(e.Value)
		if err != nil {
			return Cancelled{}, unreadable(key, err)
		}
		asked := Cancelled{Run: t.Run, Asked: true}
		switch {
		case u.State == contract.Closed || u.JobID != t.JobID || u.Run != t.Run:
			return Cancelled{}, hasEnded(t)
		case u.CancelRequested:
			return asked, nil
		}
		u.CancelRequested = true
		b, err := u.Encode()
		if err != nil {
			return Cancelled{}, fmt.Errorf("claims/%s: %w", key, err)
		}
		_, err = d.claims.Update(ctx, key, b, e.Revision)
		return asked, err
	})
}

func hasEnded(t *contract.Task) error {
	return contract.Errorf(contract.CodeConflict, "", "run %d of job %s has ended", t.Run, t.JobID)
}
