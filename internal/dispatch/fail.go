package dispatch

import (
	"context"

	"tallyman/contract"
)

// Fail ends t's run that nobody owns, or finds out that somebody does: the tombstone, if the run has no
// record yet, then the word for what stands in it. A foreign run's `submitted` comes first, since its
// message may never have met a processor. Where a unit owns the run there is nothing to say. So whoever
// was cut off calls it again, to the same end. The message, "" for none, tells people why; no record keeps it, so it is
// said only where the record has the same reason.
func (d *Dispatcher) Fail(ctx context.Context, t contract.Task, reason contract.Reason, message string) error {
	if t.Source == contract.FromForeign {
		body, err := t.Encode()
		if err != nil {
			return err
		}
		if err := d.say(ctx, contract.Submitted, &t, t.SubmittedAt, body); err != nil {
			return err
		}
	}
	r, _, err := d.entomb(ctx, &t, contract.RunRecord{Outcome: contract.OutcomeFailed, Reason: reason})
	if err != nil || !r.Tombstone || r.Outcome == contract.OutcomeNone {
		return err // a tombstone without an outcome is of a run that ended before its record aged out
	}
	if r.Outcome != contract.OutcomeFailed || r.Reason != reason {
		message = ""
	}
	_, err = d.events.Publish(ctx, contract.Event{
		Kind: r.Outcome.Kind(), Source: d.source, Time: r.At, Queue: t.Queue, Type: t.Type, JobID: t.JobID,
		Run: t.Run, SubmittedAt: t.SubmittedAt, Reason: reasonOf(r), Message: message,
	})
	return err
}

// entomb gives the record of t's run, after making it a tombstone where there was none, and tells whether it did.
func (d *Dispatcher) entomb(ctx context.Context, t *contract.Task, stone contract.RunRecord) (r contract.RunRecord, made bool, err error) {
	r, err = again(runKey(t), func() (r contract.RunRecord, err error) {
		r, made, err = d.bury(ctx, t, stone)
		return r, err
	})
	return r, made, err
}

// bury does so once; stream.ErrConflict where somebody wrote in between.
func (d *Dispatcher) bury(ctx context.Context, t *contract.Task, stone contract.RunRecord) (r contract.RunRecord, made bool, err error) {
	key := runKey(t)
	r, revision, err := d.run(ctx, key)
	if err != nil || revision != 0 {
		return r, false, err
	}
	stone.Tombstone, stone.At = true, d.at()
	return stone, true, d.setRun(ctx, key, stone, 0)
}

// reasonOf is what a tombstone died of; one that was cancelled says so by its outcome alone.
func reasonOf(r contract.RunRecord) contract.Reason {
	if r.Outcome == contract.OutcomeCancelled {
		return contract.Cancelled
	}
	return r.Reason
}
