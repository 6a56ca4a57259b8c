package explain

import (
	"encoding/json"
	"slices"
	"time"

	"tallyman/contract"
)

// Facts is all that was gathered about a job, each part by itself: none waits for another, and one that is
// not there says why.
type Facts struct {
	Now      time.Time
	Job      contract.Job
	Attempts []contract.AttemptOf // of every run, in order
	Message  string               // of the failure of the newest run, in words
	Task     Task
	FollowUp *contract.FollowUp // the run that the job gets by itself; nil where it gets none
	Config   *contract.Queue    // nil where the configuration has no such queue any more

	AcceptedAfter time.Duration // when the scheduler sends a task that SQS has not taken again
	QueuedAfter   time.Duration // and one whose queue holds nothing; 0: never

	Ahead    Answer[Ahead]              // the ledger's jobs before this one
	SQS      Answer[Counts]             // what the queue holds
	Sight    Answer[*contract.Sight]    // what the bridge saw; nil where none ever spoke of the queue
	Said     Answer[[]contract.Scaling] // the last of each kind of Kubernetes Event of the queue
	Claim    Answer[Claim]
	Stream   Answer[Stream]
	Progress *Progress // nil where the work has said nothing
}

// Answer is what one source gave: a value that was so at a time, or the reason why there is none.
type Answer[T any] struct {
	Value T
	At    time.Time
	Fault error
}

func (a *Answer[T]) ok() bool { return a.Fault == nil }

// Task is so much of the newest run's task as decides when it may begin and how long it may take.
type Task struct {
	NotBefore time.Time
	Timeout   time.Duration
}

// Ahead is how many other jobs the ledger holds as waiting in the same queue.
type Ahead struct {
	Jobs int
	Most bool // there are more: counting ends somewhere
}

// Counts is what SQS says of a queue. Missing: there is no such queue.
type Counts struct {
	Visible, InFlight, Delayed int
	Missing                    bool
}

func (c Counts) empty() bool { return c.Visible+c.InFlight+c.Delayed == 0 }

// Claim is the run's record and, where a unit owns it, the unit's. Both nil: nobody has claimed it.
type Claim struct {
	Run  *contract.RunRecord
	Unit *contract.UnitRecord
}

// Stream is how far the stream of events has come, and the ledger behind it.
type Stream struct {
	Last   uint64
	AsOf   contract.AsOf
	Oldest time.Time // of the events that the ledger has not counted; zero where it has counted all
}

// behind is how many events the ledger has not counted yet.
func (s Stream) behind() uint64 { return s.Last - min(s.AsOf.Seq, s.Last) }

// Progress is what the work said last.
type Progress struct {
	At   time.Time
	Data json.RawMessage
}

// run is the newest run.
func (f *Facts) run() *contract.JobRun {
	for i := range f.Job.Runs {
		if f.Job.Runs[i].Run == f.Job.Run {
			return &f.Job.Runs[i]
		}
	}
	return &contract.JobRun{}
}

// attempt is the newest attempt of the newest run.
func (f *Facts) attempt() *contract.JobAttempt {
	if r := f.run(); len(r.Attempts) > 0 {
		return &r.Attempts[len(r.Attempts)-1]
	}
	return &contract.JobAttempt{}
}

// lastAttempt is what was said of the newest attempt of the newest run; nil where that has none, for the words of
// another run say nothing of why this one stands where it stands.
func (f *Facts) lastAttempt() *contract.AttemptOf {
	if n := len(f.Attempts); n > 0 && f.Attempts[n-1].Run == f.Job.Run {
		return &f.Attempts[n-1]
	}
	return nil
}

// since is when the job came into the state that it is in.
func (f *Facts) since() time.Time {
	r, a := f.run(), f.attempt()
	switch f.Job.State {
	case contract.StateAccepted:
		return r.SubmittedAt.Time
	case contract.StateQueued:
		return r.QueuedAt.Time
	case contract.StateRunning:
		return firstOf(a.StartedAt, a.ClaimedAt)
	case contract.StateRetrying:
		return a.EndedAt.Time
	}
	return firstOf(r.EndedAt, f.Job.EndedAt)
}

func firstOf(times ...contract.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t.Time
		}
	}
	return time.Time{}
}

// sight is what the bridge saw, where that is not too old to judge by; nil otherwise.
func (f *Facts) sight() *contract.Sight {
	if f.bridgeSilent() {
		return nil
	}
	return f.Sight.Value
}

// silentAfter is how long a bridge may say nothing before it counts as away: it speaks every 15 s, and
// another takes its lease within that time.
const silentAfter = 4 * contract.SightEverySeconds * time.Second

// bridgeSilent tells whether nobody looks at Kubernetes, as far as can be known.
func (f *Facts) bridgeSilent() bool {
	return !f.Sight.ok() || f.Sight.Value == nil || f.Now.Sub(f.Sight.Value.At.Time) > silentAfter
}

// scaled is KEDA's object of the queue; nil where there is none, or nobody looks.
func (f *Facts) scaled() *contract.ScaledJob {
	if s := f.sight(); s != nil {
		return s.ScaledJob
	}
	return nil
}

// wait is what the job's own unit waits for; for a job that no unit has claimed, the unit of its queue that
// waits worst, for any may take it. nil: there is none that waits.
func (f *Facts) wait() *contract.Waiting {
	s := f.sight()
	if s == nil {
		return nil
	}
	own, claimed := f.unit()
	if claimed && f.unseen() || !claimed && started(f) { // of another's pods nothing follows
		return nil
	}
	var worst *contract.Waiting
	for i := range s.Waiting {
		switch w := &s.Waiting[i]; {
		case claimed && w.Unit == own:
			return w
		case claimed || w.Claimed:
		case worst == nil || weight(w) > weight(worst):
			worst = w
		}
	}
	return worst
}

// unseen tells whether the bridge looked before the job came into the state that it is in: what it saw of the
// job's own unit is then of the past.
func (f *Facts) unseen() bool { return f.Sight.Value != nil && f.Sight.Value.At.Before(f.since()) }

// weight orders waits by how much they say of why a job does not begin.
func weight(w *contract.Waiting) int {
	switch {
	case w.For.Blocked():
		return 2
	case w.For == contract.WaitBackoff, w.For == contract.WaitCreating, w.For == contract.WaitPod:
		return 1
	}
	return 0
}

// unit is the UID of the unit that owns the newest run; false where none does, or it is not known.
func (f *Facts) unit() (string, bool) {
	if r := f.Claim.Value.Run; f.Claim.ok() && r != nil && r.Owner != "" {
		return r.Owner, true
	}
	return "", false
}

// remark is the newest Kubernetes Event that can be about this job, with one of these reasons; nil where there
// is none.
func (f *Facts) remark(reasons ...string) *contract.Scaling {
	for _, s := range f.remarks(len(f.Said.Value)) {
		if slices.Contains(reasons, s.Reason) {
			return s
		}
	}
	return nil
}

// remarksOf is how old a Kubernetes Event may be that still explains something.
const remarksOf = time.Hour

// remarks are the Kubernetes Events of the last hour that can be about this job: of its own unit, or, while
// nobody has claimed it, of any; and those of KEDA. The newest come first.
func (f *Facts) remarks(most int) []*contract.Scaling {
	own, claimed := f.unit()
	var all []*contract.Scaling
	for i := range f.Said.Value {
		s := &f.Said.Value[i]
		about := s.Unit == own || s.Unit == "" || !claimed
		if about && f.Now.Sub(s.Last.Time) < remarksOf && !s.Last.Before(f.since().Add(-remarksOf)) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *contract.Scaling) int { return b.Last.Compare(a.Last.Time) })
	return all[:min(len(all), most)]
}

// max is how many units of the queue may be at once.
func (f *Facts) max() int {
	if s := f.scaled(); s != nil {
		return s.Max
	}
	if f.Config != nil {
		return f.Config.Max
	}
	return 0
}
