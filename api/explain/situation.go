package explain

import (
	"fmt"
	"time"

	"tallyman/contract"
)

// waitingRows are what stands before a pod: our own parts, SQS and KEDA. They are never written to.
var waitingRows = [...]row{
	{
		name:  "nats-away",
		holds: both(unended, func(f *Facts) bool { return !f.Claim.ok() && !f.Stream.ok() }),
		says: func(f *Facts) string {
			return fmt.Sprintf("NATS does not answer, so nothing newer is known than what the ledger held: the job was %s since %s.",
				f.Job.State, clock(f.since()))
		},
		next: do("Look after NATS: `tallyman doctor` names what is wrong; nothing that was accepted is lost meanwhile."),
	},
	{
		name: "ended-unsaid",
		holds: both(unended, func(f *Facts) bool {
			c := f.Claim.Value
			return c.Unit != nil && c.Unit.State == contract.Closed || c.Run != nil && c.Run.Tombstone && c.Run.Outcome != ""
		}),
		says: func(f *Facts) string {
			c, outcome := f.Claim.Value, contract.Outcome("")
			if outcome = contract.Outcome(c.Run.Outcome); c.Unit != nil {
				outcome = c.Unit.Outcome
			}
			return fmt.Sprintf("The run has %s, as its claim says, and the ledger is about to hear it.", outcome)
		},
		next: func(f *Facts) []string {
			if f.bridgeSilent() {
				return []string{"Look after the bridge: it says what was recorded and not said."}
			}
			return []string{}
		},
	},
	{
		name: "ledger-behind",
		holds: both(unended, func(f *Facts) bool {
			return f.Stream.ok() && f.Stream.Value.behind() > 0 && f.Now.Sub(f.Stream.Value.Oldest) > 10*time.Second
		}),
		says: func(f *Facts) string {
			s := f.Stream.Value
			return fmt.Sprintf("The ledger is %s behind, the oldest of them from %s, so the job may be further than %q.",
				count(int(s.behind()), "event"), f.ago(s.Oldest), f.Job.State)
		},
		next: do("Look after the aggregator: it counts again as soon as one of its pods leads."),
	},
	{
		name:  "cancelling",
		holds: both(unended, func(f *Facts) bool { u := f.Claim.Value.Unit; return u != nil && u.CancelRequested }),
		says: func(f *Facts) string {
			return fmt.Sprintf("The job was asked to stop: attempt %d gets SIGTERM, then SIGKILL after its grace period, and then it is cancelled.", max(1, f.Job.Attempt))
		},
	},
	{
		name:  "claimed",
		holds: both(unstarted, func(f *Facts) bool { u := f.Claim.Value.Unit; return u != nil && u.State == contract.Owned }),
		says: func(f *Facts) string {
			return fmt.Sprintf("A pod of Kubernetes Job %s has claimed the job, and the ledger is about to hear it.", f.Claim.Value.Unit.Name)
		},
	},
	{
		name:  "queue-missing",
		holds: both(unstarted, func(f *Facts) bool { return f.SQS.ok() && f.SQS.Value.Missing }),
		says: func(f *Facts) string {
			return fmt.Sprintf("SQS has no queue for %q, so nothing can be sent to it or taken from it.", f.Job.Queue)
		},
		next: func(f *Facts) []string {
			mend := fmt.Sprintf("Make the queue %s, or mend the URL of queue %q in the configuration; ", f.url(), f.Job.Queue)
			if queued(f) && f.QueuedAfter == 0 {
				return []string{mend + "if its messages are gone, nobody sends the job again (--queued-after 0): " + byHand + "."}
			}
			return []string{mend + "the scheduler then sends the job by itself."}
		},
	},
	{
		// The configuration may have lost a queue that is still served: then KEDA makes pods for what is queued.
		name:  "queue-unknown",
		holds: both(unstarted, func(f *Facts) bool { return f.Config == nil && (accepted(f) || !f.served()) }),
		says: func(f *Facts) string {
			end := fmt.Sprintf("it fails (Expired) when it has waited for %s", span(time.Duration(contract.DefaultRetention)))
			if accepted(f) {
				return fmt.Sprintf("The job is recorded for good, but the configuration has no queue %q any more, so its task cannot be sent; %s.", f.Job.Queue, end)
			}
			return fmt.Sprintf("The job is queued, but the configuration has no queue %q any more, and no ScaledJob that works serves it, as far as is known; %s.", f.Job.Queue, end)
		},
		next: func(f *Facts) []string {
			return []string{
				fmt.Sprintf("Put queue %q back into the configuration of api and scheduler (`queues:` of the chart), and the job goes on by itself.", f.Job.Queue),
				"Or end it: `tallyman cancel " + f.Job.JobID + "`.",
			}
		},
	},
	{
		// The api may lack a right that KEDA has, so of a queued job KEDA is asked too.
		name: "sqs-away",
		holds: both(unstarted, func(f *Facts) bool {
			return !f.SQS.ok() && (accepted(f) || !f.served())
		}),
		says: func(f *Facts) string {
			if accepted(f) {
				return "The job is recorded for good and SQS does not answer, so its task is not sent yet; the scheduler sends it as soon as SQS takes it."
			}
			return "The job's message is on SQS, and SQS does not answer, so no pod can take it."
		},
		next: do("Look after SQS and the credentials for it; nothing has to be sent again by hand."),
	},
	{
		name:  "accepted",
		holds: accepted,
		says: func(f *Facts) string {
			return fmt.Sprintf("The job is recorded for good and SQS has not taken its task yet; the scheduler sends it %s.", f.in(f.since().Add(f.AcceptedAfter)))
		},
		next: func(f *Facts) []string {
			if f.Now.Sub(f.since()) > 2*f.AcceptedAfter {
				return []string{"Look after the scheduler: it should have sent the task by now."}
			}
			return []string{}
		},
		due: func(f *Facts) time.Time { return f.since().Add(f.AcceptedAfter) },
	},
	{
		name:  "delayed",
		holds: both(queued, func(f *Facts) bool { return f.Task.NotBefore.After(f.Now) }),
		says: func(f *Facts) string {
			return fmt.Sprintf("The job waits for its time: SQS gives its message out %s.", f.in(f.Task.NotBefore))
		},
		due: func(f *Facts) time.Time { return f.Task.NotBefore },
	},
	{
		name: "emptied",
		holds: both(queued, func(f *Facts) bool {
			return f.SQS.ok() && f.SQS.Value.empty() && f.Now.Sub(f.since()) > time.Minute && !f.claiming()
		}),
		says: func(f *Facts) string {
			lost := fmt.Sprintf("SQS holds no message of queue %q any more, so the job's was purged, expired or lost; ", f.Job.Queue)
			if f.QueuedAfter == 0 {
				return lost + "nobody sends it again, for the scheduler is told not to (--queued-after 0)."
			}
			return lost + fmt.Sprintf("the scheduler sends it again once the queue has been empty for %s.", span(f.QueuedAfter))
		},
		next: func(f *Facts) []string {
			purger := "Find out who purges the queue: `tallyman purge` is how jobs are taken off it."
			if f.QueuedAfter == 0 {
				return []string{"Send it again: " + byHand + ". A scheduler with `--queued-after 5m` (`scheduler.queuedAfter` of the chart) does so by itself.", purger}
			}
			return []string{purger}
		},
	},
	{
		name:  "bridge-away",
		holds: both(queued, (*Facts).bridgeSilent),
		says: func(f *Facts) string {
			return fmt.Sprintf("The job is queued%s, and %s, so it is not known why no pod takes it.", f.behindOthers(), f.silence())
		},
		next: bridgeNext,
	},
	{
		name:  "unserved",
		holds: both(queued, func(f *Facts) bool { return f.scaled() == nil }),
		says: func(f *Facts) string {
			return fmt.Sprintf("No ScaledJob serves queue %q, so no pod is made for the job.", f.Job.Queue)
		},
		next: func(f *Facts) []string {
			return []string{fmt.Sprintf("Add queue %q to the chart's `queues:` and `helm upgrade`; the bridge must watch its namespace.", f.Job.Queue)}
		},
	},
	{
		name:  "paused",
		holds: both(queued, func(f *Facts) bool { return f.scaled().Paused }),
		says: func(f *Facts) string {
			return fmt.Sprintf("Queue %q is paused by its annotation, so no pod is made for the job%s.", f.Job.Queue, f.besides())
		},
		next: func(f *Facts) []string {
			s := f.scaled()
			return []string{fmt.Sprintf("Let it go on: `kubectl -n %s annotate scaledjob %s autoscaling.keda.sh/paused-`, and `paused: false` in the chart's values.", s.Namespace, s.Name)}
		},
	},
	{
		name:  "keda-not-ready",
		holds: both(queued, func(f *Facts) bool { return f.scaled().Condition("Ready").Status == "False" }),
		says: func(f *Facts) string {
			return because(fmt.Sprintf("KEDA cannot make pods for queue %q", f.Job.Queue), f.scalerFault(), f.scaled().Condition("Ready").Message) + "."
		},
		next: func(f *Facts) []string {
			s := f.scaled()
			next := []string{fmt.Sprintf("Mend what KEDA names (a Secret, a role, the queue's URL): `kubectl -n %s describe scaledjob %s` has its words.", s.Namespace, s.Name)}
			if s.Condition("Ready").Reason != checkFailed {
				return next // KEDA polls the queue, so it finds out by itself within seconds
			}
			note := fmt.Sprintf("kubectl -n %s annotate --overwrite scaledjob %s %s", s.Namespace, s.Name, pausing)
			return append(next, fmt.Sprintf("KEDA looks again by itself, up to 17 minutes later when it has failed for long; then make it look at once: `%s=false && %s-`.", note, note))
		},
	},
}

// byHand is how a person sends a job again whose message is gone.
const byHand = "`tallyman cancel JOB`, then `tallyman requeue JOB`"

const (
	checkFailed = "ScaledJobCheckFailed" // KEDA's reason, and its Event's, where it could not even begin to poll
	pausing     = "autoscaling.keda.sh/paused"
)

// scalerFault is why KEDA cannot ask a queue, where only a Kubernetes Event says it: its condition then says no more than
// that it cannot, and so does its Event ScaledJobCheckFailed, which comes with each of these. "": the condition says all.
func (f *Facts) scalerFault() string {
	ready := f.scaled().Condition("Ready").Reason
	if r := f.remark("KEDAScalerFailed"); r != nil && (ready == checkFailed || ready == "TriggerError") {
		return r.Message
	}
	return ""
}

// do is a next step that is the same for every job.
func do(step string) func(*Facts) []string {
	return func(*Facts) []string { return []string{step} }
}

func bridgeNext(f *Facts) []string {
	return []string{"Look after the bridge: its /readyz says in one line what it waits for, `kubectl get lease` who leads."}
}

// silence says how it is known that nobody looks at Kubernetes.
func (f *Facts) silence() string {
	switch {
	case !f.Sight.ok():
		return "what the bridge sees cannot be read"
	case f.Sight.Value == nil:
		return fmt.Sprintf("no bridge has ever told of queue %q", f.Job.Queue)
	}
	return fmt.Sprintf("the bridge last told of queue %q %s", f.Job.Queue, f.ago(f.Sight.Value.At.Time))
}

// served tells whether KEDA is known to make pods for the queue.
func (f *Facts) served() bool {
	s := f.scaled()
	return s != nil && s.Condition("Ready").Status == "True"
}

func (f *Facts) url() string {
	if f.Config != nil && f.Config.URL != "" {
		return f.Config.URL
	}
	return f.Job.Queue
}

// claiming tells whether a unit of the queue is about to take a message.
func (f *Facts) claiming() bool {
	if s := f.sight(); s != nil {
		for i := range s.Waiting {
			if !s.Waiting[i].Claimed && s.Waiting[i].For == contract.WaitClaim {
				return true
			}
		}
	}
	return false
}

// behindOthers says how many jobs wait before this one, where that is known.
func (f *Facts) behindOthers() string {
	a := f.Ahead.Value
	switch {
	case !f.Ahead.ok() || a.Jobs == 0:
		return ""
	case a.Most:
		return fmt.Sprintf(" behind more than %d others", a.Jobs)
	case a.Jobs == 1:
		return " behind 1 other"
	}
	return fmt.Sprintf(" behind %d others", a.Jobs)
}

// besides says how many jobs share the fate.
func (f *Facts) besides() string {
	if s := f.behindOthers(); s != "" {
		return ", which waits" + s
	}
	return ""
}
