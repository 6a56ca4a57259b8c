package explain

import (
	"fmt"
	"slices"

	"tallyman/contract"
)

// endedRows are a job that has ended: by its state, and where it failed, by the reason. They are never
// written to.
var endedRows = [...]row{
	{
		name:  "succeeded",
		holds: in(contract.StateSucceeded),
		says: func(f *Facts) string {
			s := fmt.Sprintf("The job succeeded %s", f.ago(f.since()))
			if n := len(f.run().Attempts); n > 1 {
				s += fmt.Sprintf(" in attempt %d", n)
			}
			if f.Job.Run > 1 {
				s += fmt.Sprintf(" of run %d", f.Job.Run)
			}
			return s + "."
		},
	},
	{
		name:  "cancelled",
		holds: in(contract.StateCancelled),
		says: func(f *Facts) string {
			if len(f.run().Attempts) == 0 {
				return fmt.Sprintf("The job was cancelled by request %s, before anything began.", f.ago(f.since()))
			}
			return fmt.Sprintf("The job was cancelled by request %s, in attempt %d.", f.ago(f.since()), f.Job.Attempt)
		},
		next: func(f *Facts) []string { return []string{"Run it after all: `tallyman requeue " + f.Job.JobID + "`."} },
	},
	failed(contract.AppError, "its work said that it cannot be done", "No retry mends it: mend the payload or the work, then run it again"),
	{
		name:  "failed-app-exit",
		holds: func(f *Facts) bool { return f.Job.State == contract.StateFailed && f.Job.Reason == contract.AppExit },
		says: func(f *Facts) string {
			if code := f.exitCode(); code != nil {
				return f.failedBecause(fmt.Sprintf("because its work ended with exit code %d", *code), fmt.Sprintf("exited with code %d", *code))
			}
			return f.failedBecause("because its work ended badly")
		},
		next: runAgain("Mend what its last lines tell of"),
	},
	failed(contract.Panic, "its work panicked", "Mend the program: the last lines have where"),
	failed(contract.Timeout, "its work took longer than it may", "Give it more `timeoutSeconds`, or less to do"),
	failed(contract.OOMKilled, "its work used more memory than its container may", "Raise `resources.limits.memory` of the queue, or give it less to do"),
	failed(contract.Evicted, "Kubernetes evicted its pod", "See what the node ran short of"),
	failed(contract.Preempted, "its pod made room for one of higher priority", "Give the queue's pods a `priorityClassName`, or more nodes"),
	failed(contract.NodeLost, "its node stopped answering", "Look after the node"),
	failed(contract.DeadlineExceeded, "its Kubernetes Job was at work longer than its deadline", "See whether its pods waited long for nodes; `deadline` of the queue gives more"),
	failed(contract.ImagePull, "an image of its pods could not be pulled", "Push the image or mend its name"),
	failed(contract.ConfigError, "a Secret, ConfigMap or volume of its pods is missing", "Make what the message names"),
	failed(contract.StartError, "a container of its pods could not be started", "Mend the image or the queue's configuration"),
	failed(contract.Deleted, "somebody deleted its pod or its Kubernetes Job", "See who: the cluster's audit log knows"),
	failed(contract.Lost, "it is gone and nobody can say why", "See whether its node, or its Kubernetes Job, went away"),
	{
		name:  "failed-claim-error",
		holds: func(f *Facts) bool { return f.Job.State == contract.StateFailed && f.Job.Reason == contract.ClaimError },
		says: func(f *Facts) string {
			if neverQueued(f) {
				return f.failedBecause("because its task could not be put on the queue")
			}
			return f.failedBecause("because no pod could claim it, time after time")
		},
		next: func(f *Facts) []string {
			if neverQueued(f) {
				return []string{"Submit what SQS takes: a smaller payload, a strange character written as \\uffff; where the queue's MaximumMessageSize is too low, raise it and run the job again: `tallyman requeue " + f.Job.JobID + "`."}
			}
			return runAgain("See the messages of the attempts; its message went to the dead-letter queue")(f)
		},
	},
	failed(contract.Expired, "it waited longer than its queue keeps messages", "See why nothing took it: `max`, a pause, nodes"),
	{
		name:  "failed",
		holds: in(contract.StateFailed),
		says:  func(f *Facts) string { return f.failedBecause("for a reason that nobody knows") },
		next:  runAgain("See its events"),
	},
}

// failed is a row for one reason of the closed set.
func failed(reason contract.Reason, why, mend string) row {
	return row{
		name:  "failed-" + kebab(string(reason)),
		holds: func(f *Facts) bool { return f.Job.State == contract.StateFailed && f.Job.Reason == reason },
		says:  func(f *Facts) string { return f.failedBecause("because " + why) },
		next:  runAgain(mend),
	}
}

// neverQueued tells a task that SQS refused from one that waited in vain. That SQS had it may have been lost on its
// way to the books, but then nobody said why the run failed.
func neverQueued(f *Facts) bool { return f.run().QueuedAt.IsZero() && f.Message != "" }

func runAgain(mend string) func(*Facts) []string {
	return func(f *Facts) []string {
		return []string{mend + ".", "Run it again: `tallyman requeue " + f.Job.JobID + "`."}
	}
}

// failedBecause says when and after how many attempts a job failed, why, and in whose words; what was said in
// ours already is not said again.
func (f *Facts) failedBecause(why string, said ...string) string {
	s := fmt.Sprintf("The job failed %s", f.ago(f.since()))
	switch n := len(f.run().Attempts); n {
	case 0:
		s += ", before its first attempt,"
	case 1:
	default:
		s += fmt.Sprintf(" after %d attempts", n)
	}
	for _, words := range []string{f.Message, f.lastMessage()} {
		if words != "" && !slices.Contains(said, words) {
			return because(s+" "+why, words) + "."
		}
	}
	return s + " " + why + "."
}

func (f *Facts) exitCode() *int {
	if a := f.lastAttempt(); a != nil {
		return a.ExitCode
	}
	return nil
}

// kebab writes AppError as app-error, OOMKilled as oom-killed.
func kebab(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		upper := s[i] >= 'A' && s[i] <= 'Z'
		begins := i > 0 && upper && (s[i-1] >= 'a' || i+1 < len(s) && s[i+1] >= 'a')
		if begins {
			b = append(b, '-')
		}
		if upper {
			b = append(b, s[i]+'a'-'A')
		} else {
			b = append(b, s[i])
		}
	}
	return string(b)
}
