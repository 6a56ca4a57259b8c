package audit

import (
	"context"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// claims is what a look remembers of the bucket "claims".
type claims struct {
	runs map[runName]string // the owner; "" for a tombstone
	open map[string]openUnit
	all  map[string]bool // every unit with a record

	strange map[string][]strangeRun // by job: runs with a record of which the ledger does not know
}

type strangeRun struct {
	queue  string
	number int
}

type runName struct {
	job string
	run int
}

// openUnit is a unit's claim that is not closed.
type openUnit struct {
	job, cluster string
	at           time.Time // it was last written
}

func newClaims() claims {
	return claims{
		runs: make(map[runName]string), open: make(map[string]openUnit), all: make(map[string]bool),
		strange: make(map[string][]strangeRun),
	}
}

// lookAtClaims suspects every record of which the ledger does not know, and every run of the ledger's without
// a record.
func (l *look) lookAtClaims(ctx context.Context) error {
	var closed []closedUnit
	var unknown []unknownRun
	over := make(map[string]time.Time) // when units ended whose job has no document
	runs := func(e stream.Entry) error {
		l.records++
		queue, id, run, ok := contract.RunOfKey(e.Key)
		r, err := contract.DecodeRun(e.Value)
		if !ok || err != nil {
			l.cannot("%s/%s: %v", contract.BucketClaims, e.Key, err)
			return nil
		}
		l.claims.runs[runName{id, run}] = r.Owner
		if l.docs[id].docRun(run) == nil && l.fresh(e.At) {
			unknown = append(unknown, unknownRun{strangeRun{queue, run}, id, r, l.moved(&e)})
		}
		return nil
	}
	units := func(e stream.Entry) error {
		l.records++
		u, err := contract.DecodeUnit(e.Value)
		if err != nil {
			l.cannot("%s/%s: %v", contract.BucketClaims, e.Key, err)
			return nil
		}
		l.claims.all[u.Unit] = true
		if u.State == contract.Closed && l.docs[u.JobID] == nil {
			over[u.Unit] = u.ClosedAt.Time
		}
		switch {
		case u.State != contract.Closed:
			l.claims.open[u.Unit] = openUnit{u.JobID, u.Cluster, e.At}
		case u.Said && l.fresh(e.At):
			if r := l.docs[u.JobID].docRun(u.Run); r == nil || !r.ended {
				closed = append(closed, closedUnit{runName{u.JobID, u.Run}, u.Unit, l.moved(&e)})
			}
		}
		return nil
	}
	if err := l.o.Claims.Each(ctx, contract.RunKeys("*"), runs); err != nil {
		return err
	}
	if err := l.o.Claims.Each(ctx, contract.UnitKeys("*"), units); err != nil {
		return err
	}
	for i := range unknown {
		if u := &unknown[i]; l.mustKnow(u, over) && l.suspectClaimed(u.job, u.moved) {
			l.claims.strange[u.job] = append(l.claims.strange[u.job], u.strangeRun)
		}
	}
	for i := range closed {
		if u := &closed[i]; l.claims.runs[u.runName] == u.unit {
			l.suspectClaimed(u.job, u.moved)
		}
	}
	l.suspectUnclaimed()
	return nil
}

// fresh tells whether the document of a job of which something was recorded at a moment must still be there.
func (l *look) fresh(at time.Time) bool {
	return l.o.Clock.Now().Sub(at) < l.o.Retention-l.o.Retention/10
}

// unknownRun is a run with a fresh record, of which no document tells.
type unknownRun struct {
	strangeRun
	job    string
	record contract.RunRecord
	moved  bool
}

// closedUnit is a unit's claim that was closed, and said, of whose run's end no document tells.
type closedUnit struct {
	runName
	unit  string
	moved bool
}

// suspectClaimed suspects a job by a record.
func (l *look) suspectClaimed(job string, moved bool) bool {
	if moved {
		return l.suspectMoving(job)
	}
	return l.suspectJob(job)
}

// mustKnow tells whether the ledger must know of it. Of a job without a document the end decides, however fresh the
// record is: a cancel writes `next` before it knows that the run has ended.
func (l *look) mustKnow(u *unknownRun, over map[string]time.Time) bool {
	r := &u.record
	ended, known := over[r.Owner]
	switch {
	case l.docs[u.job] != nil:
		return true
	case r.Tombstone:
		return r.At.IsZero() || l.fresh(r.At.Time)
	case known:
		return l.fresh(ended)
	}
	return l.claims.all[r.Owner] || !r.Next.Set // else the unit's record, which is not written again, has aged out
}

// suspectUnclaimed suspects the runs that somebody worked at or ended, and of which there is no record.
func (l *look) suspectUnclaimed() {
	for id, d := range l.docs {
		for i := range d.runs {
			r := &d.runs[i]
			owner, known := l.claims.runs[runName{id, r.number}]
			if r.claimed && r.young && (!known || owner != "" && !l.claims.all[owner]) {
				l.suspectJob(id)
			}
		}
	}
}
