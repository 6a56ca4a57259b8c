package bridge

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

const (
	// stubAfter is how long a unit that is over keeps its task and its result.
	stubAfter = time.Hour
	// wordGrace is how long a processor that has closed its claim has to say so by itself.
	wordGrace = 5 * time.Second
	// intentWait is how long to wait before asking again whom the run record of a closed intent names.
	intentWait = 30 * time.Second
)

// View is all that is known of one unit at one moment.
type View struct {
	Now       time.Time
	Cluster   string
	Namespace string
	Name      string
	UID       string
	Queue     string

	Job   *batchv1.Job         // nil: not seen
	Gone  bool                 // the Kubernetes Job is gone, confirmed past every cache
	Pods  []*corev1.Pod        // in any order
	Claim *contract.UnitRecord // nil: there is none
	Run   *contract.RunRecord  // nil: there is none; read after Claim
	Again bool                 // the stream has lost events: say all of it again
	fates map[string]*fate     // of Pods, by UID
}

// Verdict is what a View asks for. At most one of Look and Close is set, and then nothing else.
type Verdict struct {
	Look  bool                 // nothing can be said before Kubernetes was asked past the cache
	Close *contract.UnitRecord // to be recorded before anything is said; then judge again
	Say   []contract.Event     // facts, in the order of a life
	Then  *contract.UnitRecord // to be recorded once the stream has acknowledged all of Say; then judge again
	Later time.Duration        // look again after this; 0: when something changes
}

// Judge derives everything that the state of a unit implies. It is pure: the same View gives the same
// Verdict, and a Verdict that was carried out changes the View so that it is not asked for again.
func Judge(v View) Verdict {
	v.fates = make(map[string]*fate, len(v.Pods))
	for _, p := range v.Pods {
		f := v.fateOf(p)
		v.fates[string(p.UID)] = &f
	}
	c := v.Claim
	if c == nil {
		return Verdict{Say: v.claimFailures(), Later: v.untilStuck()}
	}
	if v.Job == nil && !v.Gone && v.needsJob() {
		return Verdict{Look: true}
	}
	if c.State != contract.Closed {
		if closed := v.closing(); closed != nil {
			return Verdict{Close: closed}
		}
	}
	verdict := Verdict{Say: append(v.claimFailures(), v.attempts()...), Later: v.untilStuck()}
	if c.State == contract.Closed {
		v.outcome(&verdict)
	}
	return verdict
}

// needsJob tells whether the claim asks for something that only the Kubernetes Job can answer.
func (v *View) needsJob() bool {
	c := v.Claim
	switch {
	case c.State != contract.Closed:
		return true
	case !c.Said:
		return !v.Again
	}
	return v.stubDue(c.ClosedAt.Time)
}

// over tells whether nothing can run in the unit any more.
func (v *View) over() bool { return v.Gone || finished(v.Job) }

// named tells whether this unit owns the run. A unit numbers attempts only after the run record has named
// it, so that says it too, even where the run record has aged out.
func (v *View) named() bool {
	return len(v.Claim.Attempts) > 0 || v.Run != nil && v.Run.Owner == v.Claim.Unit
}

// newest is the fate of the newest attempt's pod; nil where the pod is not to be seen.
func (v *View) newest() *fate { return v.attempt(len(v.Claim.Attempts)) }

func (v *View) attempt(n int) *fate {
	if n < 1 || n > len(v.Claim.Attempts) {
		return nil
	}
	return v.fates[v.Claim.Attempts[n-1]]
}

// stuckOnly tells whether every pod that has not ended is stuck on a node that does not answer, and there
// is one. Kubernetes would wait for it for ever, and with it the job. A newest attempt whose pod is not
// listed was claimed after the list, and may be at work.
func (v *View) stuckOnly() bool {
	if len(v.Claim.Attempts) > 0 && v.newest() == nil {
		return false
	}
	any := false
	for _, f := range v.fates {
		if f.end == alive {
			return false
		}
		any = any || f.stuck
	}
	return any
}

// untilStuck is when a terminating pod becomes stuck, if it has not ended by then.
func (v *View) untilStuck() time.Duration {
	var soonest time.Duration
	for _, f := range v.fates {
		if f.end != alive || f.pod.DeletionTimestamp == nil {
			continue
		}
		d := max(f.pod.DeletionTimestamp.Add(stuckAfter).Sub(v.Now)+time.Second, time.Second)
		if soonest == 0 || d < soonest {
			soonest = d
		}
	}
	return soonest
}

// stubDue tells whether an hour has gone since t.
func (v *View) stubDue(t time.Time) bool {
	return v.Claim.Task != nil && !v.Now.Before(t.Add(stubAfter))
}
