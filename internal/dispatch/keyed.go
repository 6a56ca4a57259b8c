package dispatch

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// ErrOtherWork: the job of this id is there, and is not what is asked for now.
var ErrOtherWork = errors.New("the job of this id is other work")

// SameWork tells whether two tasks ask for the same, in all that a client says of a job. A delay is not of it: it says
// when, from the first time on.
func SameWork(a, b *contract.Task) bool {
	return a.Queue == b.Queue && a.Type == b.Type && bytes.Equal(a.Payload, b.Payload) &&
		a.TimeoutSeconds == b.TimeoutSeconds && slices.Equal(a.Tags, b.Tags)
}

// SubmitKeyed makes the first run of a job whose id its client may have used before, and of which the ledger knows
// nothing: not yet, or no more. The ledger may be a moment behind, and claims outlive the documents of finished jobs by
// weeks, so two others are asked before anything is sent:
//
// The run's record. Where there is one, the run was claimed or ended, and a further task would be dropped by every claim
// as a copy, while the ledger waited for it in vain: nothing is said, and the state is what the records tell.
//
// The stream, which within its window of duplicates has one `submitted` of a job. The task that it stored is the job's
// and is sent, not ours: a claim must not meet another one than the ledger shows.
//
// ErrOtherWork: it is another job's work. Other errors are Submit's.
func (d *Dispatcher) SubmitKeyed(ctx context.Context, t contract.Task) (contract.State, error) {
	body, message, err := d.message(ctx, &t)
	if err != nil {
		return "", err
	}
	state, err := d.recorded(ctx, t)
	if err != nil || state != "" {
		return state, err
	}
	seq, had, err := d.events.PublishOnce(ctx, d.fact(contract.Submitted, &t, t.SubmittedAt, body))
	if err != nil {
		return "", err
	}
	if !had {
		return d.sent(ctx, &t, message), nil
	}
	first, err := d.storedTask(ctx, &t, seq)
	if err != nil {
		return "", err
	}
	if _, message, err = d.message(ctx, &first); err != nil {
		return "", err
	}
	return d.sent(ctx, &first, message), nil
}

// storedTask reads the task of a run that the stream has as submitted, which must ask for the same as t.
func (d *Dispatcher) storedTask(ctx context.Context, t *contract.Task, seq uint64) (contract.Task, error) {
	st, err := d.events.Event(ctx, seq)
	if errors.Is(err, stream.ErrBehind) {
		return contract.Task{}, contract.Errorf(contract.CodeUnavailable, "",
			"job %s was submitted a moment ago, and as what cannot be read yet; try again", t.JobID)
	}
	if err != nil {
		return contract.Task{}, err
	}
	first, err := contract.DecodeTask(st.Event.Task)
	if err = errors.Join(st.Fault, err); err != nil {
		return contract.Task{}, contract.Errorf(contract.CodeInternal, "", "the task of event %d cannot be read: %v", seq, err)
	}
	if first.JobID != t.JobID || first.Run != t.Run || !SameWork(&first, t) {
		return contract.Task{}, ErrOtherWork
	}
	return first, nil
}

// recorded gives the state that the records of a job's runs tell, that of the newest run which has one; "" where the
// first has none: nobody claimed it, and nobody ended it.
func (d *Dispatcher) recorded(ctx context.Context, t contract.Task) (state contract.State, err error) {
	for first := t.Run; t.Run < first+maxFollow; {
		r, revision, err := d.run(ctx, runKey(&t))
		if err != nil {
			return "", err
		}
		if revision == 0 && t.Run == first {
			return "", nil
		}
		if revision == 0 { // nobody claimed this successor, or it was never made
			break
		}
		if state, err = d.stateOf(ctx, &t, &r); err != nil {
			return "", err
		}
		if r.Next.Run == 0 {
			break
		}
		t.Run = r.Next.Run
	}
	if state == "" { // of a tombstone that only holds `next`, made after the run's own record had aged out
		return "", contract.Errorf(contract.CodeConflict, "", "job %s has ended, and how is not kept any more; choose another key", t.JobID)
	}
	return state, nil
}

// stateOf gives the state of a run by its record, "" where that does not tell.
func (d *Dispatcher) stateOf(ctx context.Context, t *contract.Task, r *contract.RunRecord) (contract.State, error) {
	if r.Tombstone {
		return contract.State(r.Outcome), nil
	}
	key := contract.UnitKey(t.Queue, r.Owner)
	e, err := d.claims.Get(ctx, key)
	if errors.Is(err, stream.ErrNotFound) {
		return contract.StateRunning, nil // that it was claimed is all that anybody knows
	}
	if err != nil {
		return "", err
	}
	u, err := contract.DecodeUnit(e.Value)
	if err != nil {
		return "", unreadable(key, err)
	}
	// A stub has no task any more, and then the key alone must do.
	if first, err := contract.DecodeTask(u.Task); err == nil && first.JobID == t.JobID && !SameWork(&first, t) {
		return "", ErrOtherWork
	}
	if u.State == contract.Closed {
		return contract.State(u.Outcome), nil
	}
	return contract.StateRunning, nil
}
