package dispatch

import (
	"context"

	"tallyman/contract"
)

// Fail ends t's run that nobody owns, or finds out that somebody does: the tombstone, if the run has no
// record yet, then the word for what stands in it. A foreign run's `submitted` comes first, since its
// message may never have met a processor. Where a unit owns the run there is nothing to say. So whoever
// was cut off calls it again, to the same end.
func (d *Dispatcher) Fail(ctx context.Context, t contract.Task, reason contract.Reason) error {
	if t.Source == contract.FromForeign {
		body, err := t.Encode()
		if err != nil {
			return err
		}
		if err := d.say(ctx, contract.Submitted, &t, t.SubmittedAt, body); err != nil {
			return err
		}
	}
	r, err := again(runKey(&t), func() (contract.RunRecord, error) { return d.bury(ctx, &t, reason) })
	if err != nil || !r.Tombstone || r.Outcome == contract.OutcomeNone {
		return err // a tombstone without an outcome is of a run that ended before its record aged out
	}
	_, err = d.events.Publish(ctx, contract.Event{
		Kind: r.Outcome.Kind(), Source: d.source, Time: r.At, Queue: t.Queue, Type: t.Type, JobID: t.JobID,
		Run: t.Run, SubmittedAt: t.SubmittedAt, Reason: reasonOf(r),
	})
	return err
}

// bury gives the run's record, after making it a failed tombstone where there was none.
func (d *Dispatcher) bury(ctx context.Context, t *contract.Task, reason contract.Reason) (contract.RunRecord, error) {
	key := runKey(t)
	r, revision, err := d.run(ctx, key)
	if err != nil || revision != 0 {
		return r, err
	}
	r = contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: reason, At: d.at()}
	return r, d.setRun(ctx, key, r, 0)
}

// reasonOf is what a tombstone died of; one that was cancelled says so by its outcome alone.
func reasonOf(r contract.RunRecord) contract.Reason {
	if r.Outcome == contract.OutcomeCancelled {
		return contract.Cancelled
	}
	return r.Reason
}
