package aggregator

import "tallyman/contract"

// success is the attempt by which the run succeeded, the earliest; nil where none did.
func (r *run) success() *attempt {
	var first *attempt
	for i := range r.attempts {
		a := &r.attempts[i]
		if a.end.kind == endSucceeded && (first == nil || a.end.at < first.end.at) {
			first = a
		}
	}
	return first
}

// ended is how the run ended: succeeded, else cancelled, else failed; endNone where it has not.
func (r *run) ended() *ending {
	if a := r.success(); a != nil {
		return &a.end
	}
	return &r.end
}

// last is the attempt with the highest number; nil where there is none.
func (r *run) last() *attempt {
	if len(r.attempts) == 0 {
		return nil
	}
	return &r.attempts[len(r.attempts)-1]
}

// superseded tells whether attempt i got no ending of its own though it is over: a newer attempt
// exists, or the run has ended. It is given the time until which it may have worked.
func (r *run) superseded(i int, ended *ending) (until int64, ok bool) {
	a := &r.attempts[i]
	switch {
	case a.end.kind != endNone:
		return 0, false
	case i+1 < len(r.attempts):
		return r.attempts[i+1].begun(), true
	}
	return ended.at, ended.kind != endNone
}

// begun is when the attempt was claimed, or else the first that is known of it.
func (a *attempt) begun() int64 {
	switch {
	case a.claimed != 0:
		return a.claimed
	case a.started != 0:
		return a.started
	}
	return a.end.at
}

// highest is the run that decides where the job is.
func (j *job) highest() *run { return &j.runs[len(j.runs)-1] }

// state is where the job is: that of its highest run.
func (j *job) state() contract.State {
	r := j.highest()
	if s := endedStates[r.ended().kind]; s != "" {
		return s
	}
	switch a := r.last(); {
	case a != nil && a.end.kind != endNone:
		return contract.StateRetrying
	case a != nil:
		return contract.StateRunning
	case r.queued != 0:
		return contract.StateQueued
	}
	return contract.StateAccepted
}

var endedStates = [...]contract.State{
	endNone: "", endSucceeded: contract.StateSucceeded, endDisrupted: "",
	endCancelled: contract.StateCancelled, endFailed: contract.StateFailed,
}

// orphan tells whether nobody ever said that the job was submitted.
func (j *job) orphan() bool {
	for i := range j.runs {
		if j.runs[i].submitted != 0 {
			return false
		}
	}
	return true
}

// latest is the time from which the retention of an ended job counts. It is never before submittedAt,
// by which a late event tells that its job may have been removed.
func (j *job) latest() int64 { return max(j.updated, j.submitted) }
