package bridge

import (
	"tallyman/contract"
)

// closing gives the record by which an open claim is to be closed, nil where it is to stay open.
func (v *View) closing() *contract.UnitRecord {
	if n, f := v.wordOfSuccess(); f != nil {
		return v.closeSucceeded(n, f)
	}
	c := v.Claim
	switch {
	case v.over():
	case c.State == contract.Intent && !v.named():
		// Its pod may still be about to create the run record: wait until nothing can run any more.
		return nil
	case failure(v.Job) != nil, v.stuckOnly():
		// The Kubernetes Job is bound to fail, yet a pod on a node that does not answer may keep it from
		// being Failed for ever.
	default:
		return nil
	}
	rec := *c
	rec.State, rec.ClosedAt = contract.Closed, v.closedAt()
	rec.OutcomeAttempt = len(c.Attempts)
	if c.CancelRequested {
		rec.Outcome, rec.Reason = contract.OutcomeCancelled, contract.Cancelled
		return &rec
	}
	rec.Outcome = contract.OutcomeFailed
	rec.Reason, rec.Message, rec.ExitCode = v.whyFailed()
	return &rec
}

// wordOfSuccess finds an attempt that did the work, exited 0 and could tell nobody but Kubernetes. Before
// the Kubernetes Job is Complete only the newest may close the claim; after that any numbered one, for
// then no other can still be at work.
func (v *View) wordOfSuccess() (int, *fate) {
	if v.Claim.State != contract.Owned {
		return 0, nil
	}
	newest := len(v.Claim.Attempts)
	for n := newest; n >= 1; n-- {
		if n < newest && !complete(v.Job) {
			return 0, nil
		}
		f := v.attempt(n)
		if f != nil && f.end == passed && f.exit != nil && *f.exit == 0 && f.word.speaksOf(v.Claim, n) && f.word.Outcome == wordSucceeded {
			return n, f
		}
	}
	return 0, nil
}

func (v *View) closeSucceeded(n int, f *fate) *contract.UnitRecord {
	rec := *v.Claim
	rec.State, rec.Outcome, rec.OutcomeAttempt, rec.ClosedAt = contract.Closed, contract.OutcomeSucceeded, n, f.at
	rec.ExitCode, rec.Message, rec.DurationMS = f.exit, f.word.Message, f.word.DurationMS
	rec.Result = f.word.Result
	return &rec
}

// closedAt is when the unit ended: when Kubernetes says so, else now.
func (v *View) closedAt() contract.Time {
	if v.Job == nil {
		return contract.At(v.Now)
	}
	if complete(v.Job) {
		return firstOf(moment(finishTime(v.Job), v.Now), contract.At(v.Now))
	}
	if c := failure(v.Job); c != nil {
		return firstOf(moment(c.LastTransitionTime, v.Now), contract.At(v.Now))
	}
	return contract.At(v.Now)
}

// whyFailed is the reason of a unit that failed: its last attempt's, where that is known.
func (v *View) whyFailed() (contract.Reason, string, *int) {
	f := v.newest()
	switch {
	case v.Claim.State == contract.Intent:
		return contract.Lost, "its pods ended between receiving the message and owning the run", nil
	case complete(v.Job):
		return contract.Lost, "its Kubernetes Job is Complete, but no attempt said that the work was done", nil
	case v.Gone && f != nil && f.reason == contract.NodeLost:
		return contract.Lost, "its Kubernetes Job is gone, and its node was lost", nil
	case v.Gone:
		return contract.Deleted, "its Kubernetes Job was deleted", nil
	case f != nil && f.end == failed:
		return f.reason, f.message, f.exit
	case overDeadline(v.Job): // while the last attempt ran, or after it was disrupted
		return contract.DeadlineExceeded, failure(v.Job).Message, nil
	case f != nil && f.end == disrupted:
		return f.reason, f.message, f.exit
	case failure(v.Job) != nil:
		return contract.Lost, failure(v.Job).Message, nil
	}
	return contract.Lost, "", nil
}

// outcome adds what a closed claim still has to say, and how its record goes on.
func (v *View) outcome(verdict *Verdict) {
	c := v.Claim
	switch {
	case c.Said && !v.Again:
		v.cut(verdict)
		return
	case !v.named() && v.Run == nil:
		// Nobody owns the run yet. A pod that Kubernetes takes for gone may still create its record.
		verdict.Later = intentWait
		return
	case v.aboutToSay():
		verdict.Later = wordGrace
		return
	}
	if v.named() {
		verdict.Say = append(verdict.Say, v.outcomeFacts()...)
	}
	if !c.Said {
		said := *c
		said.Said = true
		verdict.Then = &said
	}
}

// aboutToSay tells whether the pod that closed the claim lives and may say its outcome by itself.
func (v *View) aboutToSay() bool {
	if v.Again || failure(v.Job) != nil || v.Now.Sub(v.Claim.ClosedAt.Time) >= wordGrace {
		return false
	}
	for _, f := range v.fates {
		if f.end == alive {
			return true
		}
	}
	return false
}

func (v *View) outcomeFacts() []contract.Event {
	c := v.Claim
	switch c.Outcome {
	case contract.OutcomeSucceeded:
		if c.OutcomeAttempt == 0 {
			return nil
		}
		return []contract.Event{v.succeeded()}
	case contract.OutcomeCancelled:
		e := v.event(contract.CancelledKind, 0, c.ClosedAt)
		e.Reason = contract.Cancelled
		return []contract.Event{e}
	}
	var say []contract.Event
	n := len(c.Attempts)
	if f := v.newest(); n > 0 && (f == nil || f.end != failed && f.end != disrupted) {
		say = append(say, v.failed(contract.AttemptFailed, n))
	}
	return append(say, v.failed(contract.Failed, 0))
}

func (v *View) failed(kind contract.Kind, attempt int) contract.Event {
	c := v.Claim
	e := v.event(kind, attempt, c.ClosedAt)
	e.Reason, e.ExitCode, e.Message, e.Tail = c.Reason, c.ExitCode, c.Message, c.Tail
	return e
}

func (v *View) succeeded() contract.Event {
	c := v.Claim
	e := v.event(contract.Succeeded, c.OutcomeAttempt, c.ClosedAt)
	e.ExitCode, e.Message, e.Result, e.DurationMS = c.ExitCode, c.Message, c.Result, c.DurationMS
	if f := v.attempt(c.OutcomeAttempt); f != nil && f.oom {
		// The work is done although Kubernetes killed something in its container: outcome and
		// infrastructure's reason are two fields.
		e.Reason = contract.OOMKilled
	}
	return e
}

// cut asks for the stub of a record that is closed, said and old, whose Kubernetes Job has ended or is gone.
func (v *View) cut(verdict *Verdict) {
	since := v.Claim.ClosedAt.Time
	if t := finishTime(v.Job); t.After(since) {
		since = t.Time
	}
	if v.over() && v.stubDue(since) {
		stub := v.Claim.Stub()
		verdict.Then = &stub
	}
}
