package bridge

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// event is a fact of the claim's run with all that names its place.
func (v *View) event(kind contract.Kind, attempt int, at contract.Time) contract.Event {
	c := v.Claim
	e := contract.Event{
		Kind: kind, Source: contract.SourceBridge, Time: firstOf(at, contract.At(v.Now)),
		Queue: c.Queue, Type: c.Type, JobID: c.JobID, Run: c.Run, SubmittedAt: c.SubmittedAt,
		Unit: c.Unit, Cluster: c.Cluster, Namespace: c.Namespace, Name: c.Name,
	}
	v.ofUnit(&e, v.attempt(attempt))
	if kind.OfRun() {
		return e
	}
	e.Attempt = attempt
	if attempt >= 1 && attempt <= len(c.Attempts) {
		e.Pod = c.Attempts[attempt-1]
	}
	if f := v.attempt(attempt); f != nil {
		e.PodName, e.Node = f.pod.Name, f.pod.Spec.NodeName
	}
	return e
}

// attempts says what became of each numbered attempt.
func (v *View) attempts() []contract.Event {
	var say []contract.Event
	if v.Again && v.Claim.Task != nil {
		say = append(say, v.submitted())
	}
	for n := range v.Claim.Attempts {
		say = append(say, v.attemptFacts(n+1)...)
	}
	return say
}

// submitted says again what api, scheduler or claim once said: the claim has the task, so a ledger that
// lost the first event of a run can have it back. Only the job's time is known, which is the first run's.
func (v *View) submitted() contract.Event {
	at := v.Claim.SubmittedAt
	if v.Claim.Run > 1 {
		at = v.Claim.ClosedAt
		for _, p := range v.Pods {
			if t := moment(p.CreationTimestamp, v.Now); at.IsZero() || t.Before(at.Time) {
				at = t
			}
		}
	}
	e := v.event(contract.Submitted, 0, at)
	e.Task = v.Claim.Task
	return e
}

// startTime is when the kubelet took the pod on, or when the pod was made.
func (v *View) startTime(p *corev1.Pod) contract.Time {
	if p.Status.StartTime != nil {
		return moment(*p.Status.StartTime, v.Now)
	}
	return firstOf(moment(p.CreationTimestamp, v.Now), contract.At(v.Now))
}

func (v *View) attemptFacts(n int) []contract.Event {
	f := v.attempt(n)
	if f == nil {
		return v.unseenAttempt(n)
	}
	var say []contract.Event
	if f.end != alive && !f.claimed || f.claimed && v.Again || v.made(n, f) {
		say = append(say, v.event(contract.Claimed, n, firstOf(f.began, f.at)))
	}
	if e, ok := v.ending(n, f); ok {
		say = append(say, e)
	}
	return say
}

// ending is the fact that ends an attempt, where Kubernetes knows one that the claim does not contradict.
func (v *View) ending(n int, f *fate) (contract.Event, bool) {
	c := v.Claim
	won := c.State == contract.Closed && c.Outcome == contract.OutcomeSucceeded && c.OutcomeAttempt == n
	var e contract.Event
	switch {
	case won:
		return v.succeeded(), f.oom && c.Said // unsaid, it is said with the outcome
	case f.end == failed:
		e = v.event(contract.AttemptFailed, n, f.at)
	case f.end == disrupted:
		e = v.event(contract.AttemptDisrupted, n, f.at)
	default:
		return e, false
	}
	e.Reason, e.ExitCode, e.Message = f.reason, f.exit, f.message
	if f.word.speaksOf(c, n) {
		e.DurationMS = f.word.DurationMS
	}
	return e, true
}

// unseenAttempt says of an attempt whose pod is not to be seen only that it began, and that only where it
// cannot be that the pod is merely too new for our cache.
func (v *View) unseenAttempt(n int) []contract.Event {
	c := v.Claim
	switch {
	case n == len(c.Attempts) && c.State != contract.Closed:
		return nil
	case v.Again:
	case c.Task == nil, c.Said && n == c.OutcomeAttempt: // it was said before the record came so far
		return nil
	}
	at := c.ClosedAt
	if next := v.attempt(n + 1); next != nil { // which Kubernetes made only after this one had ended
		at = moment(next.pod.CreationTimestamp, v.Now)
	}
	return []contract.Event{v.event(contract.Claimed, n, at)}
}

// claimFailures says of each pod without a number that it never came to claim, if it did not: it is dead
// and its claim did not end well, or something keeps it from starting that will not pass by itself.
func (v *View) claimFailures() []contract.Event {
	var say []contract.Event
	for _, p := range v.Pods {
		f := v.fates[string(p.UID)]
		if f.attempt > 0 || f.claimed || v.Queue == "" {
			continue
		}
		e := contract.Event{
			Kind: contract.ClaimFailed, Source: contract.SourceBridge, Time: f.at, Queue: v.Queue, Type: contract.NoType,
			Unit: v.UID, Pod: string(p.UID), PodName: p.Name, Cluster: v.Cluster, Namespace: v.Namespace, Name: v.Name,
			Node: p.Spec.NodeName, Reason: f.reason, ExitCode: f.exit, Message: f.message,
		}
		if w := waiting(p); f.end == alive && w != nil {
			e.Reason, e.Message, e.Time = waitingReason(w.Reason), w.Message, v.startTime(p)
		}
		if e.Reason != "" {
			say = append(say, e)
		}
	}
	slices.SortFunc(say, func(a, b contract.Event) int {
		return cmp.Or(a.Time.Compare(b.Time.Time), strings.Compare(a.Pod, b.Pod))
	})
	return say
}
