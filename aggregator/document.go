package aggregator

import (
	"errors"
	"fmt"
	"strconv"

	"tallyman/contract"
)

const documentVersion = 1

// document appends what the bucket holds of a job: all that the ledger knows, as a contract.Job. It is
// also what the ledger is rebuilt from, so document and read are exact inverses. The bytes are those of
// json.Marshal, written by hand because this is most of the work of a commit.
func (j *job) document(b []byte, id jobID, queues, types []string) []byte {
	r := j.highest()
	w := &writer{b}
	w.open(`{"v":`, documentVersion)
	w.word("jobId", id.String())
	w.word("queue", queues[j.queue])
	w.word("type", types[j.kind])
	w.word("state", string(j.state()))
	w.word("reason", string(j.reason().word()))
	w.time("submittedAt", j.submitted)
	w.time("updatedAt", j.updated)
	if j.state().Ended() {
		w.time("endedAt", r.ended().at)
	}
	attempt := 0
	if a := r.last(); a != nil {
		attempt = a.number
	}
	w.open(`,"run":`, r.number)
	w.open(`,"attempt":`, attempt)
	for i := range j.runs {
		w.run(&j.runs[i], listed(`,"runs":`, i))
	}
	for i, seq := range j.events {
		w.open(listed(`],"events":`, i), int(seq))
	}
	w.text("]")
	w.number("more", uint64(j.more))
	if j.orphan() {
		w.text(`,"orphan":true`)
	}
	w.text("}")
	return w.b
}

// reason is why the job is where it is, where that is a bad place.
func (j *job) reason() reason {
	r := j.highest()
	switch j.state() {
	case contract.StateFailed, contract.StateCancelled:
		return r.end.reason
	case contract.StateRetrying:
		return r.last().end.reason
	}
	return noReason
}

func (w *writer) run(r *run, before string) {
	ended := r.ended()
	w.text(before)
	w.open(`{"run":`, r.number)
	w.time("submittedAt", r.submitted)
	w.time("queuedAt", r.queued)
	if ended.kind != endNone {
		w.time("endedAt", ended.at)
		w.word("outcome", string(outcomeWords[ended.kind]))
		w.word("reason", string(ended.reason.word()))
	}
	w.time("madeAt", r.unit.made)
	w.number("millicores", uint64(r.unit.millicores))
	w.number("mib", uint64(r.unit.mib))
	w.number("taskSeq", r.task)
	if ended.kind != endNone {
		w.number("outcomeSeq", ended.seq)
		w.word("saidBy", string(ended.source.word()))
	}
	for i := range r.attempts {
		w.attempt(r, i, ended, listed(`,"attempts":`, i))
	}
	if len(r.attempts) > 0 {
		w.text("]")
	}
	w.text("}")
}

var outcomeWords = [...]contract.Outcome{
	endNone: contract.OutcomeNone, endSucceeded: contract.OutcomeSucceeded, endDisrupted: contract.OutcomeNone,
	endCancelled: contract.OutcomeCancelled, endFailed: contract.OutcomeFailed,
}

var endingWords = [...]contract.Ending{
	endNone: contract.EndingNone, endSucceeded: contract.EndingSucceeded, endDisrupted: contract.EndingDisrupted,
	endCancelled: contract.EndingNone, endFailed: contract.EndingFailed,
}

func (w *writer) attempt(r *run, i int, ended *ending, before string) {
	a := &r.attempts[i]
	w.text(before)
	w.open(`{"attempt":`, a.number)
	w.time("claimedAt", a.claimed)
	w.time("startedAt", a.started)
	if a.end.kind != endNone {
		w.time("endedAt", a.end.at)
		w.word("ending", string(endingWords[a.end.kind]))
		w.word("reason", string(a.end.reason.word()))
	} else if _, superseded := r.superseded(i, ended); superseded {
		w.word("ending", string(contract.EndingSuperseded))
	}
	w.word("infrastructure", string(a.infra.word()))
	if a.end.kind != endNone {
		w.number("endingSeq", a.end.seq)
		w.word("saidBy", string(a.end.source.word()))
	}
	w.text("}")
}

// writer appends JSON whose words are tokens, which need no escaping. A field that is absent is left
// out.
type writer struct{ b []byte }

func (w *writer) text(s string) { w.b = append(w.b, s...) }

// open appends a number that is there even if it is 0.
func (w *writer) open(before string, n int) {
	w.text(before)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

// listed is what stands before an element of a list.
func listed(key string, i int) string {
	if i > 0 {
		return ","
	}
	return key + "["
}

func (w *writer) key(key string) {
	w.b = append(w.b, ',', '"')
	w.text(key)
	w.b = append(w.b, '"', ':')
}

func (w *writer) word(key, s string) {
	if s == "" {
		return
	}
	w.key(key)
	w.b = append(w.b, '"')
	w.text(s)
	w.b = append(w.b, '"')
}

func (w *writer) number(key string, n uint64) {
	if n == 0 {
		return
	}
	w.key(key)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *writer) time(key string, ms int64) {
	if ms != 0 {
		w.key(key)
		w.b = append(contract.AtMilli(ms).AppendTo(append(w.b, '"')), '"')
	}
}

// read makes j what the document says.
func (j *job) read(d *contract.Job, queues, types *names) error {
	if d.V != documentVersion {
		return fmt.Errorf("version %d of a job's document is not known here", d.V)
	}
	if len(d.Runs) == 0 || len(d.Events) == 0 {
		return errors.New("a job's document without runs or events")
	}
	*j = job{
		queue: queues.number(d.Queue), kind: types.number(d.Type), submitted: d.SubmittedAt.UnixMilli(),
		updated: d.UpdatedAt.UnixMilli(), events: append(j.events[:0], d.Events...), more: d.More, runs: grow(j.runs, len(d.Runs)),
	}
	for i := range d.Runs {
		j.runs[i].read(&d.Runs[i])
	}
	if s := j.state(); s != d.State {
		return fmt.Errorf("the document says %s, its facts say %s", d.State, s)
	}
	return nil
}

func (r *run) read(d *contract.JobRun) {
	*r = run{
		number: d.Run, submitted: milli(d.SubmittedAt), queued: milli(d.QueuedAt), task: d.TaskSeq,
		unit:     unit{milli(d.MadeAt), d.Millicores, d.MiB},
		attempts: grow(r.attempts, len(d.Attempts)),
	}
	for i := range d.Attempts {
		r.attempts[i].read(&d.Attempts[i])
	}
	switch d.Outcome {
	case contract.OutcomeFailed:
		r.end = readEnding(endFailed, d.EndedAt, d.OutcomeSeq, d.Reason, d.SaidBy)
	case contract.OutcomeCancelled:
		r.end = readEnding(endCancelled, d.EndedAt, d.OutcomeSeq, d.Reason, d.SaidBy)
	}
}

func (a *attempt) read(d *contract.JobAttempt) {
	*a = attempt{
		number: d.Attempt, claimed: milli(d.ClaimedAt), started: milli(d.StartedAt), infra: reasonOf(d.Infrastructure),
	}
	for kind, word := range endingWords {
		if word != contract.EndingNone && word == d.Ending {
			a.end = readEnding(endKind(kind), d.EndedAt, d.EndingSeq, d.Reason, d.SaidBy)
		}
	}
}

func readEnding(kind endKind, at contract.Time, seq uint64, r contract.Reason, by contract.Source) ending {
	return ending{kind: kind, at: milli(at), seq: seq, reason: reasonOf(r), source: sourceNumbers[by]}
}

// milli is a time in milliseconds, 0 where it is absent.
func milli(t contract.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
