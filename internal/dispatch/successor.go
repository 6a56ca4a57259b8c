package dispatch

import (
	"context"

	"tallyman/contract"
)

// Successor gives the task of the run that follows t's, which the ledger must hold as ended. Whoever comes
// first sets `next` in the run record, everybody after follows it, so one run never has two successors.
// `next: none`, which a cancel leaves, binds a rerun and a recovery (CodeConflict); a requeue replaces it.
// A run record that has aged out is made anew as a tombstone that holds only `next`.
//
// The caller then Submits the task: whoever sets or follows `next` says that run's `submitted` first.
func (d *Dispatcher) Successor(ctx context.Context, t contract.Task, source contract.TaskSource, notBefore contract.Time) (contract.Task, error) {
	if t.Run >= contract.MaxRun {
		return contract.Task{}, contract.Errorf(contract.CodeConflict, "", "job %s has had %d runs", t.JobID, t.Run)
	}
	run, err := again(runKey(&t), func() (int, error) { return d.bindNext(ctx, &t, source) })
	if err != nil {
		return contract.Task{}, err
	}
	t.Run, t.Source, t.NotBefore = run, source, notBefore
	return t, nil
}

// bindNext sets or follows `next` once; stream.ErrConflict where somebody wrote in between.
func (d *Dispatcher) bindNext(ctx context.Context, t *contract.Task, source contract.TaskSource) (int, error) {
	key := runKey(t)
	r, revision, err := d.run(ctx, key)
	switch {
	case err != nil:
		return 0, err
	case r.Next.Set && r.Next.Run > 0:
		return r.Next.Run, nil
	case r.Next.Set && source != contract.FromRequeue:
		return 0, contract.Errorf(contract.CodeConflict, "", "run %d of job %s was cancelled: it shall have no successor", t.Run, t.JobID)
	case revision == 0:
		r = contract.RunRecord{Tombstone: true, At: d.at()}
	}
	r.Next = contract.Next{Set: true, Run: t.Run + 1}
	return r.Next.Run, d.setRun(ctx, key, r, revision)
}
