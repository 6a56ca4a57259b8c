package aggregator

import (
	"errors"
	"fmt"

	"tallyman/contract"
)

const documentVersion = 1

// document is what the bucket holds of a job: all that the ledger knows, in words that others read. It
// is also what the ledger is rebuilt from, so document and read are exact inverses.
func (j *job) document(id jobID, queues, types []string) contract.Job {
	r := j.highest()
	d := contract.Job{
		V: documentVersion, JobID: id.String(), Queue: queues[j.queue], Type: types[j.kind], State: j.state(),
		Reason: j.reason().word(), SubmittedAt: contract.AtMilli(j.submitted), UpdatedAt: contract.AtMilli(j.updated),
		Run: r.number, Runs: make([]contract.JobRun, len(j.runs)), Events: j.events, More: j.more, Orphan: j.orphan(),
	}
	if d.State.Ended() {
		d.EndedAt = contract.AtMilli(r.ended().at)
	}
	if a := r.last(); a != nil {
		d.Attempt = a.number
	}
	for i := range j.runs {
		d.Runs[i] = j.runs[i].document()
	}
	return d
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

func (r *run) document() contract.JobRun {
	d := contract.JobRun{
		Run: r.number, SubmittedAt: contract.AtMilli(r.submitted), QueuedAt: contract.AtMilli(r.queued), TaskSeq: r.task,
	}
	ended := r.ended()
	if ended.kind != endNone {
		d.Outcome = outcomeWords[ended.kind]
		d.EndedAt, d.OutcomeSeq = contract.AtMilli(ended.at), ended.seq
		d.Reason, d.SaidBy = ended.reason.word(), ended.source.word()
	}
	for i := range r.attempts {
		d.Attempts = append(d.Attempts, r.attempts[i].document())
		if _, superseded := r.superseded(i, ended); superseded {
			d.Attempts[i].Ending = contract.EndingSuperseded
		}
	}
	return d
}

var outcomeWords = [...]contract.Outcome{
	endNone: contract.OutcomeNone, endSucceeded: contract.OutcomeSucceeded, endDisrupted: contract.OutcomeNone,
	endCancelled: contract.OutcomeCancelled, endFailed: contract.OutcomeFailed,
}

var endingWords = [...]contract.Ending{
	endNone: contract.EndingNone, endSucceeded: contract.EndingSucceeded, endDisrupted: contract.EndingDisrupted,
	endCancelled: contract.EndingNone, endFailed: contract.EndingFailed,
}

func (a *attempt) document() contract.JobAttempt {
	d := contract.JobAttempt{
		Attempt: a.number, ClaimedAt: contract.AtMilli(a.claimed), StartedAt: contract.AtMilli(a.started),
		Infrastructure: a.infra.word(),
	}
	if a.end.kind != endNone {
		d.Ending = endingWords[a.end.kind]
		d.EndedAt, d.EndingSeq = contract.AtMilli(a.end.at), a.end.seq
		d.Reason, d.SaidBy = a.end.reason.word(), a.end.source.word()
	}
	return d
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
