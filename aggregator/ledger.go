package aggregator

import (
	"encoding/hex"
	"time"

	"tallyman/contract"
)

// maxRetired is how many old jobs one event may make go, so that one event never fills a batch.
const maxRetired = 8

// jobID is the 16 bytes of a job's UUID.
type jobID [16]byte

// parseJobID reads a job's id, checking it as contract.ValidJobID does, but in one look at each byte.
func parseJobID(s string) (id jobID, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	bad := byte(0)
	for i, at := range idDigits {
		high, low := digitValues[s[at]], digitValues[s[at+1]]
		bad |= high | low
		id[i] = high<<4 | low
	}
	if bad >= noDigit {
		return jobID{}, false
	}
	return id, true
}

// idDigits is where the digits of each byte stand.
var idDigits = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

const noDigit = 0x80

// digitValues are the values of the hexadecimal digits in lower case; noDigit is everything else.
var digitValues = func() (values [256]byte) {
	for i := range values {
		values[i] = noDigit
	}
	for i, c := range []byte("0123456789abcdef") {
		values[c] = byte(i)
	}
	return values
}()

func (id jobID) String() string {
	var b [36]byte
	hex.Encode(b[:8], id[:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:], id[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// rules are what the fold is told from outside. The checkpoint has them: era.go says what else is made of that.
type rules struct {
	retention time.Duration // for how long an ended job is kept
	window    time.Duration // for how long the id of a unit's fact is kept
	gapsTo    uint64        // the sequence up to which gaps are none
}

// ledger is the state of the fold: what a prefix of the stream adds up to. It is changed by fold alone,
// which reads no clock, so two processes that fold the same events have the same ledger.
type ledger struct {
	rules
	jobs          map[jobID]packed
	queues, types names
	books         books // of every job that ever was, and of the units
	units         unitFacts
	balance       contract.Balance // Gap, GapAt, Late, Unknown; Off as found when loaded

	accepted, queued waitingIn // for attention
	ended            order     // for the retention

	seq     uint64 // of the last event folded
	at      int64  // when the stream stored it
	eras    eras   // by which rules each was
	horizon int64  // the latest event time
	floor   int64  // jobs that ended before have no document, or are to have none
	waiting uint64 // counts changes of who is accepted or queued

	touched       []jobID // by the last fold
	job, probe    job     // scratch
	before, after tally   // scratch
	bytes         []byte  // scratch
}

func newLedger(r rules) *ledger {
	l := &ledger{
		rules: r, eras: eras{r.era(0)}, jobs: make(map[jobID]packed), queues: newNames(), types: newNames(), books: newBooks(), ended: newOrder(),
	}
	l.accepted, l.queued = waitingIn{state: contract.StateAccepted, place: l.placeOf}, waitingIn{state: contract.StateQueued, place: l.placeOf}
	return l
}

// fold takes one event of the stream and gives the jobs whose documents change by it; a job that is no
// longer known has no document any more. A nil event is one that nobody could read. The list is good
// until the next fold.
func (l *ledger) fold(seq uint64, stored time.Time, e *contract.Event) []jobID {
	l.touched = l.touched[:0]
	if seq > l.seq {
		l.seq, l.at = seq, stored.UnixMilli()
	}
	if e == nil {
		l.balance.Unknown++
		return nil
	}
	at := notAfter(e.Time, stored)
	l.horizon = max(l.horizon, at)
	// It never goes back, though a retention that grows would have it so: a job that is gone would count again.
	l.floor = max(l.floor, l.horizon-l.retention.Milliseconds())
	l.books.windows.advance(l.horizon, l.seq)
	if e.Kind.OfUnit() {
		l.foldUnit(e, at)
	} else {
		l.foldJob(e, &fact{
			kind: e.Kind, run: e.Run, attempt: e.Attempt, at: at, submitted: notAfter(e.SubmittedAt, stored),
			reason: reasonOf(e.Reason), source: sourceNumbers[e.Source], seq: seq, unit: unitOf(e, at),
		})
	}
	l.units.forget(l.horizon, l.window.Milliseconds())
	l.retire() // last: the event that moves the time may be the one that begins a further run of the oldest job
	return l.touched
}

// unitOf is what an event says of its unit, which cannot have been made after it.
func unitOf(e *contract.Event, at int64) unit {
	u := unit{millicores: e.Millicores, mib: e.MiB}
	if !e.MadeAt.IsZero() {
		u.made = max(1, min(e.MadeAt.UnixMilli(), at))
	}
	return u
}

// notAfter is a time in milliseconds: never later than the stream stored its event, whatever a writer's
// clock says, and never 0, which is absent.
func notAfter(t contract.Time, stored time.Time) int64 {
	return max(1, min(t.UnixMilli(), stored.UnixMilli()))
}

// foldUnit counts a unit's fact. No document gives it back, so it counts among what is retired.
func (l *ledger) foldUnit(e *contract.Event, at int64) {
	if !l.units.count(e, l.horizon) {
		return
	}
	slot := l.slot(l.queues.number(e.Queue), l.types.number(contract.NoType))
	m := []mark{markOf(e.Kind, at)}
	l.books.move(slot, nil, slot, m, l.seq)
	l.books.retire(slot, m, l.seq)
}

func (l *ledger) foldJob(e *contract.Event, f *fact) {
	id, ok := parseJobID(e.JobID)
	if !ok {
		l.balance.Unknown++
		return
	}
	p, known := l.jobs[id]
	if known {
		p.unpack(&l.job)
	}
	if !known && l.isOld(f.submitted) {
		// Its document may have gone, whose sums stay: it must not come back as if it were new. Where the document
		// is there, whatever comes is of that job, however old: somebody may have read it and asked for a run.
		l.balance.Late++
		return
	}
	f.queue, f.jtype = l.queues.number(e.Queue), l.types.number(e.Type)
	if known {
		l.before.count(&l.job)
	} else {
		l.job.clear()
		l.before.clear()
	}
	was := l.job.place()
	queue, kind := l.job.queue, l.job.kind
	if !l.job.join(f, &l.queues, &l.types) {
		l.balance.Unknown++
		return
	}
	l.after.count(&l.job)
	to := l.slot(l.job.queue, l.job.kind)
	from := to
	if known && (queue != l.job.queue || kind != l.job.kind) {
		from = l.slot(queue, kind)
	}
	l.books.move(from, l.before.marks, to, l.after.marks, l.seq)
	l.bytes = l.job.pack(l.bytes[:0])
	l.jobs[id] = packed(l.bytes)
	l.order(id, was)
	l.touched = append(l.touched, id)
}

func (l *ledger) slot(queue, kind uint32) int { return l.books.slot(queue, kind, &l.queues, &l.types) }

func (l *ledger) isOld(at int64) bool { return at < l.floor }

// retire makes the jobs go that ended before the retention: their sums stay.
func (l *ledger) retire() {
	for range maxRetired {
		if len(l.ended.heap.items) == 0 || !l.isOld(l.ended.heap.items[0].at) {
			return
		}
		oldest, ok := l.ended.top(l.over)
		if !ok || !l.isOld(oldest.at) {
			return
		}
		l.jobs[oldest.id].unpack(&l.job)
		l.after.count(&l.job)
		l.books.retire(l.slot(l.job.queue, l.job.kind), l.after.marks, l.seq)
		delete(l.jobs, oldest.id)
		l.touched = append(l.touched, oldest.id)
	}
}

// place is what a job waits for, and since when: to be sent (accepted), to be claimed (queued), or to
// be removed (any ended state; succeeded stands for all three). The rest is what attention says of it.
type place struct {
	state       contract.State
	since       int64
	run         int
	task        uint64
	queue, kind uint32
}

func (j *job) place() place {
	if len(j.runs) == 0 {
		return place{}
	}
	r := j.highest()
	p := place{run: r.number, task: r.task, queue: j.queue, kind: j.kind}
	switch s := j.state(); {
	case s.Ended():
		return place{state: contract.StateSucceeded, since: j.latest()}
	case s == contract.StateAccepted:
		p.state, p.since = s, r.submitted
	case s == contract.StateQueued:
		p.state, p.since = s, r.queued
	default:
		return place{}
	}
	return p
}

// over tells whether the job of an entry has ended when the entry says.
func (l *ledger) over(e entry) bool {
	is := l.placeOf(e.id)
	return is.state == contract.StateSucceeded && is.since == e.at
}

func (l *ledger) placeOf(id jobID) place {
	p, ok := l.jobs[id]
	if !ok {
		return place{}
	}
	p.unpack(&l.probe)
	return l.probe.place()
}

// order keeps the orders up with a job whose place was another before the event.
func (l *ledger) order(id jobID, was place) {
	is := l.job.place()
	if is == was {
		return
	}
	if waits(was.state) || waits(is.state) {
		l.waiting++
	}
	l.accepted.move(id, &was, &is)
	l.queued.move(id, &was, &is)
	if is.state == contract.StateSucceeded && (was.state != is.state || was.since != is.since) {
		l.ended.push(entry{is.since, id}, int64(len(l.jobs)), l.over)
	}
}

func waits(s contract.State) bool { return s == contract.StateAccepted || s == contract.StateQueued }
