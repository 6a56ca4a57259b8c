package audit

import (
	"context"
	"hash/maphash"
	"time"

	"tallyman/internal/stream"
)

// moving is what changed while it was looked at. It is not known to be wrong, and where much goes on there is more of
// it than of all else.
type moving struct {
	since        time.Time // the stats were written that documents are looked at by
	docs         []movingDoc
	seed         maphash.Seed
	judged, more int // jobs that are judged only because they moved, and those that are not, for they are too many
}

// movingDoc is a document that was newer than the stats. Of its value a hash is kept: there may be very many.
type movingDoc struct {
	id       string
	revision uint64
	sum      uint64
}

// maxMoving is how many jobs are judged only because they moved. The other half of the suspects' places is for what is
// known to differ, for books and for queues.
const maxMoving = maxSuspects / 2

func (m *moving) keep(id string, e *stream.Entry) {
	m.docs = append(m.docs, movingDoc{id, e.Revision, maphash.Bytes(m.seed, e.Value)})
}

// settle holds the documents that were newer than the stats to the stats of now, which have come to most of their
// commits. What has changed again by then is judged alone.
func (l *look) settle(ctx context.Context) error {
	if len(l.moving.docs) == 0 {
		return nil
	}
	if err := l.readStats(ctx); err != nil {
		return err
	}
	ok, err := l.level(ctx)
	if err != nil {
		return err
	}
	for i := range l.moving.docs {
		d := &l.moving.docs[i]
		if fits := d.revision <= l.stats.Revision && (!ok || l.settled(d)); !fits {
			l.suspectMoving(d.id)
		}
	}
	l.moving.docs = nil
	return nil
}

// settled tells whether a document is what its events add up to by now.
func (l *look) settled(d *movingDoc) bool {
	want := l.replay.Job(d.id)
	if maphash.Bytes(l.moving.seed, want) != d.sum {
		return false
	}
	j := decodeJob(stream.Entry{Value: want}, d.id)
	return j != nil && (l.foreign(j) || l.lacks(j) == 0)
}

// moved tells whether a record was written when the documents that were looked at could not know of it.
func (l *look) moved(e *stream.Entry) bool { return e.At.After(l.moving.since) }

// suspectMoving suspects a job only because it moved, unless there are too many of those.
func (l *look) suspectMoving(id string) bool {
	switch {
	case l.suspects[subject{job: id}]:
		return true
	case l.moving.judged == maxMoving:
		l.moving.more++
		return false
	}
	l.moving.judged++
	return l.suspectJob(id)
}

// sayUnjudged says what was not judged: what moved is looked at by the next audit, and so no fault; what else is not
// known to be right.
func (l *look) sayUnjudged() {
	if l.moving.more > 0 {
		l.remark("%d jobs changed while they were looked at, and are not compared: an audit looks again at %d of those at the most, "+
			"and the next one at what these have come to", l.moving.more, maxMoving)
	}
	if l.full {
		l.cannot("what else may not fit: more than %d jobs, documents, queues and units do not seem to, which is as many as are judged", maxSuspects)
	}
}
