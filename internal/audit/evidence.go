package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// evidence is all that is known of one job, read so that what is under way cannot look like what is wrong: the
// stats, then its document, then claims.
type evidence struct {
	id    string
	entry stream.Entry  // its document; revision 0: there is none
	job   *contract.Job // nil: there is none that can be read
	stray bool          // it is newer than the stats of any commit

	compared bool   // the document can be held to want
	want     []byte // what its events add up to; nil: nothing
	lacks    uint64 // the first of its events that the stream no longer has
	trimmed  bool   // it cannot be, for the stream has dropped its oldest events, which it may

	runs []runEvidence
}

// runEvidence is one run, as the records have it.
type runEvidence struct {
	queue  string
	number int
	ledger *contract.JobRun // nil: the ledger does not know of it
	young  bool             // its record cannot have aged out
	known  bool             // there is a record
	record contract.RunRecord
	unit   *contract.UnitRecord // of its owner; nil: there is none
	moved  string               // another when a record has changed
	lost   bool                 // the claim is open, and its Kubernetes Job has ended or is gone
}

func (l *look) evidence(ctx context.Context, id string) (*evidence, error) {
	e := &evidence{id: id}
	var err error
	if e.entry, err = l.settledEntry(ctx, contract.JobKey(id)); err != nil {
		return nil, err
	}
	e.stray, e.job = e.entry.Revision > l.stats.Revision, decodeJob(e.entry, id)
	if err := l.compare(ctx, e); err != nil {
		return nil, err
	}
	return e, l.readRuns(ctx, e)
}

// decodeJob gives a job by its document; nil where there is none that can be read.
func decodeJob(e stream.Entry, id string) *contract.Job {
	var j contract.Job
	if json.Unmarshal(e.Value, &j) != nil || j.JobID != id {
		return nil
	}
	return &j
}

// compare brings the replay to the event that the stats are of, which the document is of too unless it is stray.
func (l *look) compare(ctx context.Context, e *evidence) error {
	if ok, err := l.level(ctx); err != nil || !ok {
		return err
	}
	e.want = l.replay.Job(e.id)
	if l.foreign(e.job) || l.foreign(decodeJob(stream.Entry{Value: e.want}, e.id)) {
		return nil
	}
	e.compared = true
	if e.job != nil {
		e.lacks = l.lacks(e.job)
	}
	if e.job != nil || e.entry.Revision == 0 {
		e.trimmed = l.trimmed(e.id, e.job, e.want)
	}
	return nil
}

// readRuns reads the records of every run that the document shows, and of those that only claims know.
func (l *look) readRuns(ctx context.Context, e *evidence) error {
	now := l.o.Clock.Now()
	if e.job != nil {
		for i := range e.job.Runs {
			r := &e.job.Runs[i]
			e.runs = append(e.runs, runEvidence{
				queue: e.job.Queue, number: r.Run, ledger: r, young: now.Sub(r.SubmittedAt.Time) < claimsKept,
			})
		}
	}
	for _, s := range l.claims.strange[e.id] {
		if e.job.RunOf(s.number) == nil {
			e.runs = append(e.runs, runEvidence{queue: s.queue, number: s.number, young: true})
		}
	}
	for i := range e.runs {
		if err := l.readRun(ctx, e.id, &e.runs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *look) readRun(ctx context.Context, id string, r *runEvidence) error {
	entry, known, err := l.run(ctx, r.queue, id, r.number)
	if err != nil || !known {
		return err
	}
	record, err := contract.DecodeRun(entry.Value)
	if err != nil {
		return nil // it is named as unchecked
	}
	r.known, r.record, r.moved = true, record, fmt.Sprint(entry.Revision)
	if record.Owner == "" {
		return nil
	}
	entry, err = l.o.Claims.Get(ctx, contract.UnitKey(r.queue, record.Owner))
	if errors.Is(err, stream.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	u, err := contract.DecodeUnit(entry.Value)
	if err != nil {
		u = contract.UnitRecord{Unit: record.Owner, State: contract.Closed} // it is named as unchecked
	}
	r.unit, r.moved = &u, fmt.Sprint(r.moved, " ", entry.Revision)
	r.lost = u.State != contract.Closed && l.lost(u.Unit, u.Cluster, entry.At)
	return nil
}

// run reads a run's record.
func (l *look) run(ctx context.Context, queue, id string, run int) (e stream.Entry, known bool, err error) {
	e, err = l.o.Claims.Get(ctx, contract.RunKey(queue, id, run))
	if errors.Is(err, stream.ErrNotFound) {
		return e, false, nil
	}
	return e, err == nil, err
}

// differs tells whether the document is not what its events add up to.
func (e *evidence) differs() bool { return e.compared && !bytes.Equal(e.want, e.entry.Value) }
