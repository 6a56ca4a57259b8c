package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// expire ends the runs that outlived their queue's retention: SQS has dropped their messages. One that
// SQS never took has no message that could be dropped, so it ends only where sending it is hopeless.
func (r *relay) expire(ctx context.Context, a *contract.Attention) error {
	var old []*contract.AttentionItem
	for i := range a.Queued {
		old = append(old, &a.Queued[i])
	}
	for i := range a.Accepted {
		if r.tried.of(&a.Accepted[i]).hopeless {
			old = append(old, &a.Accepted[i])
		}
	}
	var errs []error
	for _, it := range old {
		err := r.end(ctx, it)
		if errors.Is(err, stream.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err) // of one run, whose record nobody here can read, say: the others end all the same
	}
	return errors.Join(errs...)
}

// overdue tells whether a run has outlived its queue's retention.
func (r *relay) overdue(it *contract.AttentionItem) bool {
	keeps := contract.DefaultRetention
	if q := r.config.Queue(it.Queue); q != nil && q.Retention > 0 {
		keeps = q.Retention
	}
	return r.clock.Since(it.Since.Time) > time.Duration(keeps)+r.expireAfter
}

// end says of an overdue run what its record holds, after making that a tombstone where there was none.
// Where a unit owns the run there is nothing to say; the bridge will, in its time.
func (r *relay) end(ctx context.Context, it *contract.AttentionItem) error {
	now := r.clock.Now()
	p := r.tried.of(it)
	if !r.overdue(it) || p.end.After(now) {
		return nil
	}
	submitted, err := r.submittedAt(ctx, it)
	if errors.Is(err, stream.ErrNotFound) { // its document is gone, and the books are closed
		return nil
	}
	if err != nil {
		return err
	}
	err = r.dispatch.Fail(ctx, contract.Task{
		JobID: it.JobID, Run: it.Run, Queue: it.Queue, Type: it.Type, SubmittedAt: submitted,
	}, contract.Expired, "")
	if err != nil {
		return fmt.Errorf("expire run %d of job %s: %w", it.Run, it.JobID, err)
	}
	p.end = now.Add(r.expireAfter)
	r.log.Warn("outlived its queue's retention", "jobId", it.JobID, "run", it.Run, "queue", it.Queue)
	return nil
}

// submittedAt reads when the job was submitted; its task may be gone from the stream already.
func (r *relay) submittedAt(ctx context.Context, it *contract.AttentionItem) (contract.Time, error) {
	e, err := r.ledger.Get(ctx, contract.JobKey(it.JobID))
	if err != nil {
		return contract.Time{}, err
	}
	var j contract.Job
	if err := json.Unmarshal(e.Value, &j); err != nil {
		return contract.Time{}, fmt.Errorf("jobs/%s: %w", contract.JobKey(it.JobID), err)
	}
	return j.SubmittedAt, nil
}
