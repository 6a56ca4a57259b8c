package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// look is one look over everything. It remembers of each job what claims and queues are held to.
type look struct {
	*Auditor
	replay   Replay
	compares bool // documents are held to the replay
	info     stream.Info
	mark     mark
	stats    stream.Entry // the newest that was read
	shown    contract.Stats
	asOf     contract.AsOf
	seq      uint64 // how far the ledger has come

	docs      map[string]*doc
	named     map[uint64]bool // events that the stream lost behind its first, and whose jobs are named for it
	looked    uint64          // documents were held to the replay at this sequence
	claims    claims
	records   int
	units     map[string]*contract.Inventory // by cluster
	queues    []contract.AuditQueue
	unchecked []string
	remarks   []string
	suspects  map[subject]bool
	listed    []subject
	full      bool // there was no room on the list
	moving    moving
	want      map[string][]byte // by key: books, windows and stats as the replay has them
	wantSeq   uint64            // at this sequence
}

// doc is what a look remembers of a job's document.
type doc struct {
	queue string
	state contract.State
	run   int
	runs  []docRun
}

// docRun is one run in it.
type docRun struct {
	number  int
	claimed bool // an attempt is known, or an outcome: then there must be a record of the run
	young   bool // its record cannot have aged out
	ended   bool
}

// suspect puts a subject on the list of those that are judged alone, unless that is full.
func (l *look) suspect(s subject) bool {
	switch {
	case l.suspects[s]:
	case len(l.listed) == maxSuspects:
		l.full = true
	default:
		l.suspects[s] = true
		l.listed = append(l.listed, s)
	}
	return l.suspects[s]
}

func (l *look) suspectJob(id string) bool { return l.suspect(subject{job: id}) }

func (l *look) subjects() []subject { return l.listed }

// cannot notes what could not be looked at.
func (l *look) cannot(format string, args ...any) {
	l.unchecked = append(l.unchecked, contract.CutText(fmt.Sprintf(format, args...), contract.MaxReportText))
}

// remark notes what is not compared though nothing is wrong.
func (l *look) remark(format string, args ...any) {
	l.remarks = append(l.remarks, contract.CutText(fmt.Sprintf(format, args...), contract.MaxReportText))
}

// lookAtAll looks from what is made of others to what it is made of, and what was suspected before is suspected
// again. Documents come before counters and those before claims: whoever took a message away between the first
// two has left a record before, which the last then shows.
func (a *Auditor) lookAtAll(ctx context.Context) (*look, error) {
	l := &look{
		Auditor: a, replay: a.o.Replay(), docs: make(map[string]*doc), named: make(map[uint64]bool),
		suspects: make(map[subject]bool), claims: newClaims(), moving: moving{seed: maphash.MakeSeed()},
	}
	for _, s := range a.suspected() {
		l.suspect(s)
	}
	l.suspect(subject{stream: true})
	for _, step := range []func(context.Context) error{
		l.renew, l.follow, l.lookAtDocuments, l.settle, l.lookAtBooks, l.lookAtQueues, l.lookAtClaims, l.lookAtUnits,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	l.suspectWaiting()
	l.sayUnjudged()
	return l, nil
}

// renew reads again how far everything has come. The stream is read last, so it is never behind the ledger
// unless it is another one.
func (l *look) renew(ctx context.Context) (err error) {
	if l.mark, err = l.readMark(ctx); err != nil {
		return err
	}
	if err := l.readStats(ctx); err != nil {
		return err
	}
	if err := l.readInventories(ctx); err != nil {
		return err
	}
	l.info, err = l.o.Events.Info(ctx)
	return err
}

// readStats reads how far the ledger has come. Every commit writes the stats behind everything else, so what is
// no newer than they are was written by that commit or one before.
func (l *look) readStats(ctx context.Context) error {
	e, err := l.o.Ledger.Get(ctx, contract.KeyStats)
	if errors.Is(err, stream.ErrNotFound) {
		return nil // the aggregator has not written yet
	}
	if err != nil {
		return err
	}
	l.stats, l.shown = e, contract.Stats{}
	if err := json.Unmarshal(e.Value, &l.shown); err != nil {
		l.suspect(subject{key: contract.KeyStats})
		return nil
	}
	l.asOf, l.seq = l.shown.AsOf, l.shown.AsOf.Seq
	return nil
}

// follow brings the replay to where the ledger is, unless that is too far, or where no stream has come to. A log
// that is too long is a choice of how much memory an audit may have, and so no fault.
func (l *look) follow(ctx context.Context) error {
	if held := l.info.Last + 1 - min(max(1, l.info.First), l.info.Last+1); held > uint64(l.o.Most) {
		l.remark("documents, stats and books were not compared with the stream: it holds %d events, and an audit replays %d at the most "+
			"(--audit-events of api and scheduler, scheduler.auditEvents of the chart; docs/capacity.md tells the memory)", held, l.o.Most)
		return nil
	}
	l.compares = true
	_, err := l.level(ctx)
	return err
}

// level brings the replay to the event that the stats are of. It says false where what the ledger says now
// cannot be held to it.
func (l *look) level(ctx context.Context) (bool, error) {
	if l.info.Last < l.seq { // the ledger went on since that was read, or the stream is another
		info, err := l.o.Events.Info(ctx)
		if err != nil {
			return false, err
		}
		l.info = info
	}
	if !l.comparable() {
		return false, nil
	}
	return true, l.replay.To(ctx, l.seq)
}

// comparable tells whether what the ledger says now can be held to a replay.
func (l *look) comparable() bool {
	return l.compares && l.stats.Revision > 0 && l.seq <= l.info.Last && l.replay.Seq() <= l.seq
}

// lookAtDocuments suspects every document that is not what its events add up to. What is too new to tell is kept, to
// be settled.
func (l *look) lookAtDocuments(ctx context.Context) error {
	now := l.o.Clock.Now()
	l.moving.since = l.stats.At
	if l.comparable() {
		l.looked = l.replay.Seq()
	}
	err := l.o.Ledger.Each(ctx, contract.JobKey("*"), func(e stream.Entry) error {
		id, ok := contract.JobIDOfKey(e.Key)
		var j contract.Job
		switch {
		case !ok:
			l.suspect(subject{key: e.Key})
			return nil
		case json.Unmarshal(e.Value, &j) != nil || j.JobID != id:
			l.suspectJob(id)
			return nil
		}
		l.docs[id] = l.remember(&j, now)
		switch newer := e.Revision > l.stats.Revision; {
		case j.Orphan || !newer && l.differs(&j, e.Value):
			l.suspectJob(id)
		case newer:
			l.moving.keep(id, &e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if l.comparable() {
		for id := range l.replay.Jobs() {
			if want := l.replay.Job(id); l.docs[id] == nil && !l.foreign(decodeJob(stream.Entry{Value: want}, id)) && !l.trimmed(id, nil, want) {
				l.suspectJob(id)
			}
		}
	}
	return nil
}

// differs tells whether a document is not what its events add up to, or those are not there.
func (l *look) differs(j *contract.Job, value []byte) bool {
	if !l.comparable() || l.foreign(j) {
		return false
	}
	want := l.replay.Job(j.JobID)
	return l.lacks(j) > 0 || !bytes.Equal(want, value) && !l.trimmed(j.JobID, j, want)
}

// foreign tells whether another version of the aggregator folded an event of the job, so that a replay need not
// come to the same.
func (l *look) foreign(j *contract.Job) bool {
	return j != nil && len(j.Events) > 0 && j.Events[0] <= l.replay.Foreign()
}

// claimsKept is for how long the record of a run surely is there.
const claimsKept = 30 * 24 * time.Hour

func (l *look) remember(j *contract.Job, now time.Time) *doc {
	d := &doc{queue: j.Queue, state: j.State, run: j.Run, runs: make([]docRun, len(j.Runs))}
	for i := range j.Runs {
		r := &j.Runs[i]
		ended := r.Outcome != contract.OutcomeNone
		d.runs[i] = docRun{
			number: r.Run, claimed: ended || len(r.Attempts) > 0, ended: ended, young: now.Sub(r.SubmittedAt.Time) < claimsKept,
		}
	}
	return d
}

// lacks gives the first event of a young document that the stream no longer has; 0 where it has all. It keeps
// every event for longer than documents of ended jobs are kept, so an older one may have aged out.
func (l *look) lacks(j *contract.Job) (first uint64) {
	old := l.o.Clock.Now().Sub(j.SubmittedAt.Time) > l.o.Retention
	for _, seq := range j.Events {
		if seq <= l.replay.Seq() && l.replay.Lacks(seq) && !(old && seq < l.replay.First()) {
			first = cmp.Or(first, seq)
			if seq > l.replay.First() {
				l.named[seq] = true
			}
		}
	}
	return first
}

func (d *doc) docRun(number int) *docRun {
	if d == nil {
		return nil
	}
	for i := range d.runs {
		if d.runs[i].number == number {
			return &d.runs[i]
		}
	}
	return nil
}
