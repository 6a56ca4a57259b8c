package aggregator

import (
	"slices"

	"tallyman/contract"
)

// maxEntries is how many runs and attempts, together, are kept of one job, so that its document stays
// below NATS' limit for a message. No honest job comes near it.
const maxEntries = 2048

// job is everything that the ledger knows of one job, joined. It is the normal form of the set of its
// facts: joining them in any order, and any of them twice, gives the same value, and what an earlier
// fact hides (an ending of lower rank) is not kept. So it is exactly what its document shows.
type job struct {
	queue, kind uint32 // numbers of the names; kind is the job's type
	submitted   int64  // the job's submittedAt, in milliseconds like all times here; 0 is absent
	updated     int64  // the latest time of an event
	events      []uint64
	more        int
	runs        []run
}

type run struct {
	number            int
	submitted, queued int64
	task              uint64 // the first event that carries the task
	unit              unit
	end               ending // endCancelled or endFailed; none where an attempt succeeded
	attempts          []attempt
}

// unit is what the bridge knows of the Kubernetes Job that owns a run.
type unit struct {
	made            int64 // when it was made
	millicores, mib int   // that each of its pods requests; 0: nothing, or not known
}

func (u *unit) join(o *unit) {
	u.made = earlier(u.made, o.made)
	u.millicores, u.mib = max(u.millicores, o.millicores), max(u.mib, o.mib)
}

type attempt struct {
	number           int
	claimed, started int64
	infra            reason // what Kubernetes said, whatever the ending
	end              ending // endSucceeded, endDisrupted or endFailed
}

// ending is how a run or an attempt ended, in the words of the voice that stands.
type ending struct {
	kind   endKind
	at     int64 // the earliest time that any voice gave
	seq    uint64
	reason reason
	source source
}

// endKind ranks endings: where several were said, the least stands.
type endKind uint8

const (
	endNone endKind = iota
	endSucceeded
	endDisrupted
	endCancelled
	endFailed
)

// fact is one event, as the fold sees it.
type fact struct {
	kind         contract.Kind
	run, attempt int
	at           int64
	submitted    int64
	queue, jtype uint32
	reason       reason
	source       source
	seq          uint64
	unit         unit
}

// infrastructure tells whether this is what only Kubernetes knows, said by the one who asks it.
func (f *fact) infrastructure() bool { return f.source == fromBridge && f.reason.infrastructure() }

// ending gives the ending that the fact says. The reason of a success decides nothing: the processor's
// words stand, for they have the result.
func (f *fact) ending(kind endKind) ending {
	e := ending{kind: kind, at: f.at, seq: f.seq, reason: f.reason, source: f.source}
	if kind == endSucceeded {
		e.reason = noReason
	}
	return e
}

// class ranks voices: Kubernetes where only it can know, then the processor, then everybody else.
func (e *ending) class() int {
	switch {
	case e.source == fromBridge && e.reason.infrastructure():
		return 0
	case e.source == fromProcessor:
		return 1
	}
	return 2
}

// before tells whether e's words stand against o's: by class, reason, source, and the first to say it.
func (e *ending) before(o *ending) bool {
	switch a, b := e.class(), o.class(); {
	case a != b:
		return a < b
	case e.reason != o.reason:
		return e.reason < o.reason
	case e.source != o.source:
		return e.source < o.source
	}
	return e.seq < o.seq
}

// join puts another ending beside e: the lesser kind hides the other whole; two of a kind keep the
// earlier time and the words that stand.
func (e *ending) join(o ending) {
	switch {
	case e.kind == endNone || o.kind != endNone && o.kind < e.kind:
		*e = o
	case o.kind == e.kind:
		at := min(e.at, o.at)
		if o.before(e) {
			*e = o
		}
		e.at = at
	}
}

// join adds a fact. It says false, and changes nothing, where the job is full.
func (j *job) join(f *fact, queues, types *names) bool {
	r := j.run(f.run)
	if r == nil {
		return false
	}
	if f.attempt > 0 {
		a := r.attempt(f.attempt, j.entries())
		if a == nil {
			return false
		}
		a.join(f)
	}
	r.join(f)
	if len(j.events) == 0 {
		j.queue, j.kind = f.queue, f.jtype
	}
	j.queue, j.kind = queues.lesser(j.queue, f.queue), types.lesser(j.kind, f.jtype)
	j.submitted = earlier(j.submitted, f.submitted)
	j.updated = max(j.updated, f.at)
	j.list(f.seq)
	return true
}

func (a *attempt) join(f *fact) {
	if f.infrastructure() {
		a.infra = min(a.infra, f.reason)
	}
	switch f.kind {
	case contract.Claimed:
		a.claimed = earlier(a.claimed, f.at)
	case contract.Started:
		a.started = earlier(a.started, f.at)
	case contract.AttemptFailed:
		a.end.join(f.ending(endFailed))
	case contract.AttemptDisrupted:
		a.end.join(f.ending(endDisrupted))
	case contract.Succeeded:
		a.end.join(f.ending(endSucceeded))
	}
}

func (r *run) join(f *fact) {
	r.unit.join(&f.unit)
	switch f.kind {
	case contract.Submitted:
		if r.submitted == 0 || f.seq < r.task {
			r.task = f.seq
		}
		r.submitted = earlier(r.submitted, f.at)
	case contract.Queued:
		r.queued = earlier(r.queued, f.at)
	case contract.Failed:
		r.end.join(f.ending(endFailed))
	case contract.CancelledKind:
		r.end.join(f.ending(endCancelled))
	}
	if r.success() != nil {
		r.end = ending{} // hidden for ever, so not kept: the document would not show it
	}
}

// list keeps the event's sequence: the least of them, in order, each once.
func (j *job) list(seq uint64) {
	i, found := slices.BinarySearch(j.events, seq)
	if found {
		return
	}
	if len(j.events) == contract.MaxJobEvents {
		j.more++
		if i == len(j.events) {
			return
		}
		j.events = j.events[:len(j.events)-1]
	}
	j.events = slices.Insert(j.events, i, seq)
}

// entries counts the runs and attempts.
func (j *job) entries() int {
	n := len(j.runs)
	for i := range j.runs {
		n += len(j.runs[i].attempts)
	}
	return n
}

// run finds or makes a run; nil where the job is full.
func (j *job) run(number int) *run {
	i, found := slices.BinarySearchFunc(j.runs, number, func(r run, n int) int { return r.number - n })
	if !found {
		if j.entries()+2 > maxEntries {
			return nil
		}
		j.runs = slices.Insert(j.runs, i, run{number: number})
	}
	return &j.runs[i]
}

// attempt finds or makes an attempt; nil where the job has as many entries as it may.
func (r *run) attempt(number, entries int) *attempt {
	i, found := slices.BinarySearchFunc(r.attempts, number, func(a attempt, n int) int { return a.number - n })
	if !found {
		if entries >= maxEntries {
			return nil
		}
		r.attempts = slices.Insert(r.attempts, i, attempt{number: number, infra: noReason})
	}
	return &r.attempts[i]
}

// earlier joins two times, of which 0 is absent.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// clear makes j a job of which nothing is known, and keeps its slices for use.
func (j *job) clear() { *j = job{events: j.events[:0], runs: j.runs[:0]} }
