package explain

import (
	"encoding/json"
	"fmt"
	"time"

	"tallyman/contract"
)

// overdueAfter is how far past its timeout an attempt may seem to run: its end takes the grace period, and its
// word takes a moment.
const overdueAfter = 2 * time.Minute

// orderlyRows are a job's ordinary life. The last holds for whatever none before it did. They are never
// written to.
var orderlyRows = [...]row{
	{
		name:  "claiming",
		holds: both(queued, (*Facts).claiming),
		says: func(f *Facts) string {
			return fmt.Sprintf("A pod of queue %q takes a message at this moment: this job's, or another's%s.", f.Job.Queue, f.besides())
		},
	},
	{
		name:  "at-max",
		holds: both(queued, func(f *Facts) bool { s := f.sight(); return f.max() > 0 && s.Units >= f.max() }),
		says: func(f *Facts) string {
			return fmt.Sprintf("The job is queued%s, and queue %q runs as many jobs as it may, %d of %d; it begins when one of them has ended.",
				f.behindOthers(), f.Job.Queue, f.sight().Units, f.max())
		},
		next: func(f *Facts) []string {
			return []string{fmt.Sprintf("To run more at a time, raise `max` of queue %q.", f.Job.Queue)}
		},
	},
	{
		name:  "hidden",
		holds: both(queued, func(f *Facts) bool { return f.SQS.ok() && f.SQS.Value.Visible == 0 && f.SQS.Value.InFlight > 0 }),
		says: func(f *Facts) string {
			visibility := time.Duration(contract.DefaultVisibility)
			if f.Config != nil {
				visibility = time.Duration(f.Config.Visibility)
			}
			return fmt.Sprintf("The job's message was received and not deleted: a pod claims it now, or died doing so, and then SQS shows it again within %s.", span(visibility))
		},
	},
	{
		name:  "behind-others",
		holds: both(queued, func(f *Facts) bool { return f.Ahead.ok() && f.Ahead.Value.Jobs > 0 }),
		says: func(f *Facts) string {
			return fmt.Sprintf("The job is queued%s; queue %q runs %d of at most %d jobs now, and KEDA makes pods for more at its next look.",
				f.behindOthers(), f.Job.Queue, f.sight().Units, f.max())
		},
	},
	{
		name:  "queued",
		holds: queued,
		says: func(f *Facts) string {
			return "The job is queued, no other is before it, and KEDA makes a pod for it at its next look."
		},
	},
	{
		// Kubernetes makes no further pod, and the bridge, which then says that the job failed, may take a while to.
		name:  "attempts-spent",
		holds: both(retrying, (*Facts).spent),
		says: func(f *Facts) string {
			if f.bridgeSilent() {
				return fmt.Sprintf("%s; no attempt is left, and the job is failed as soon as the bridge says so: %s.", f.howTheLastEnded(), f.silence())
			}
			return fmt.Sprintf("%s; no attempt is left, and the job is about to be failed.", f.howTheLastEnded())
		},
		next: func(f *Facts) []string {
			if f.bridgeSilent() {
				return bridgeNext(f)
			}
			return []string{f.readLogs() + "."}
		},
	},
	{
		name:  "back-off",
		holds: both(retrying, func(f *Facts) bool { w := f.wait(); return w != nil && w.For == contract.WaitBackoff }),
		says: func(f *Facts) string {
			return fmt.Sprintf("%s; attempt %d begins %s.", f.howTheLastEnded(), f.Job.Attempt+1, f.in(f.wait().Due.Time))
		},
		next: afterFailure,
		due:  func(f *Facts) time.Time { return f.wait().Due.Time },
	},
	{
		name:  "retry-unwatched",
		holds: both(retrying, (*Facts).bridgeSilent),
		says: func(f *Facts) string {
			return fmt.Sprintf("%s, and %s, so it is not known when attempt %d begins.", f.howTheLastEnded(), f.silence(), f.Job.Attempt+1)
		},
		next: bridgeNext,
	},
	{
		name:  "retrying",
		holds: retrying,
		says: func(f *Facts) string {
			if f.unseen() {
				return fmt.Sprintf("%s; attempt %d follows, and Kubernetes has not told when yet.", f.howTheLastEnded(), f.Job.Attempt+1)
			}
			return fmt.Sprintf("%s; attempt %d is about to begin.", f.howTheLastEnded(), f.Job.Attempt+1)
		},
		next: afterFailure,
	},
	{
		name: "overdue",
		holds: both(running, func(f *Facts) bool {
			return f.Task.Timeout > 0 && f.Now.Sub(f.since()) > f.Task.Timeout+overdueAfter
		}),
		says: func(f *Facts) string {
			return fmt.Sprintf("Attempt %d began %s and may take %s, so it has ended and nobody has said so%s.",
				f.Job.Attempt, f.ago(f.since()), span(f.Task.Timeout), f.andSilent())
		},
		next: func(f *Facts) []string {
			return append(bridgeNext(f), "End it by hand: `tallyman cancel "+f.Job.JobID+"`.")
		},
	},
	{
		name:  "unwatched",
		holds: both(running, (*Facts).bridgeSilent),
		says: func(f *Facts) string {
			return fmt.Sprintf("%s, as far as its processor tells; %s, so an end that only Kubernetes sees is heard later.", f.runs(), f.silence())
		},
		next: bridgeNext,
	},
	{
		name:  "starting",
		holds: both(running, func(f *Facts) bool { return f.attempt().StartedAt.IsZero() }),
		says: func(f *Facts) string {
			return fmt.Sprintf("A pod has claimed the job %s, and its work is about to begin as attempt %d.", f.ago(f.attempt().ClaimedAt.Time), max(1, f.Job.Attempt))
		},
	},
	{
		name:  "running",
		holds: running,
		says:  func(f *Facts) string { return f.runs() + "." },
		next: func(f *Facts) []string {
			return []string{"See it go on: `tallyman events " + f.Job.JobID + "`; stop it: `tallyman cancel " + f.Job.JobID + "`."}
		},
	},
	{
		name:  "unknown",
		holds: func(*Facts) bool { return true },
		says:  func(f *Facts) string { return fmt.Sprintf("The job is %s.", f.Job.State) },
	},
}

// runs says since when an attempt is at work, how far it has come, and how long it may take.
func (f *Facts) runs() string {
	s := fmt.Sprintf("Attempt %d runs since %s", max(1, f.Job.Attempt), span(f.Now.Sub(f.since())))
	if p := f.progress(); p != "" {
		s += " and is at " + p
	}
	if f.Task.Timeout > 0 {
		s += fmt.Sprintf("; it may take %s", span(f.Task.Timeout))
	}
	return s
}

func (f *Facts) andSilent() string {
	if f.bridgeSilent() {
		return "; " + f.silence()
	}
	return ""
}

// progress is how far the work is by its own word; "" where that is not of the kind that people expect.
func (f *Facts) progress() string {
	p := f.said()
	switch {
	case p.Done != nil && p.Total != nil && *p.Total > 0:
		return fmt.Sprintf("%.0f of %.0f", *p.Done, *p.Total)
	case p.Percent != nil:
		return fmt.Sprintf("%.0f%%", *p.Percent)
	case p.Done != nil:
		return fmt.Sprintf("%.0f", *p.Done)
	}
	return ""
}

// toldProgress is all that the work said last.
func (f *Facts) toldProgress() string {
	switch at, p := f.progress(), f.said(); {
	case at != "" && p.Message != "":
		return quoted(at + ": " + p.Message)
	case at+p.Message != "":
		return quoted(at + p.Message)
	}
	return quoted(string(f.Progress.Data))
}

type saidOfItself struct {
	Percent, Done, Total *float64
	Message              string
}

func (f *Facts) said() (p saidOfItself) {
	if f.Progress != nil {
		_ = json.Unmarshal(f.Progress.Data, &p) // any JSON value may be said
	}
	return p
}

// howTheLastEnded says why there is a next attempt.
func (f *Facts) howTheLastEnded() string {
	a := f.attempt()
	if a.Ending == contract.EndingDisrupted {
		return because(fmt.Sprintf("Kubernetes took attempt %d away %s (%s), which spends no retry", a.Attempt, f.ago(a.EndedAt.Time), a.Reason), f.lastMessage())
	}
	return because(fmt.Sprintf("Attempt %d failed %s (%s)", a.Attempt, f.ago(a.EndedAt.Time), a.Reason), f.lastMessage())
}

// lastMessage is what was said of the end of the newest attempt.
func (f *Facts) lastMessage() string {
	if a := f.lastAttempt(); a != nil {
		return a.Message
	}
	return ""
}

// spent tells whether the newest run has no attempt left: as many failed as Kubernetes makes, or the last one of what no
// retry mends.
func (f *Facts) spent() bool {
	bad := 0
	for _, a := range f.run().Attempts {
		if a.Ending == contract.EndingFailed {
			bad++
		}
	}
	last := f.attempt()
	return bad > contract.BackoffLimit || last.Ending == contract.EndingFailed && last.Reason == contract.AppError
}

func afterFailure(f *Facts) []string {
	return []string{fmt.Sprintf("%s; stop further attempts: `tallyman cancel %s`.", f.readLogs(), f.Job.JobID)}
}

func (f *Facts) readLogs() string {
	return fmt.Sprintf("Read what it left: `tallyman logs %s --run %d --attempt %d`", f.Job.JobID, f.Job.Run, max(1, f.Job.Attempt))
}
