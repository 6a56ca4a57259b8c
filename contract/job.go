package contract

// State is where a job is. Every job is in exactly one, so the states add up to `submitted`.
type State string

const (
	StateAccepted  State = "accepted"  // recorded; SQS has not taken the task yet
	StateQueued    State = "queued"    // SQS has the task; no unit has claimed it
	StateRunning   State = "running"   // an attempt is under way
	StateRetrying  State = "retrying"  // an attempt ended badly; the next is due
	StateSucceeded State = "succeeded" // the work is done
	StateFailed    State = "failed"    // no attempt is left
	StateCancelled State = "cancelled" // by request
)

// States lists the closed set in the order of a life. Callers must not change it.
func States() []State {
	return []State{
		StateAccepted, StateQueued, StateRunning, StateRetrying, StateSucceeded, StateFailed, StateCancelled,
	}
}

// Ended tells whether nothing more will happen to the job by itself.
func (s State) Ended() bool {
	return s == StateSucceeded || s == StateFailed || s == StateCancelled
}

// Known tells whether s is of the closed set.
func (s State) Known() bool {
	for _, k := range States() {
		if s == k {
			return true
		}
	}
	return false
}

// Ending is how an attempt ended. Where several were said, the first of the list stands.
type Ending string

const (
	EndingNone       Ending = ""           // it has not
	EndingSucceeded  Ending = "succeeded"  // over
	EndingDisrupted  Ending = "disrupted"  // Kubernetes took the pod away; over
	EndingFailed     Ending = "failed"     // over
	EndingSuperseded Ending = "superseded" // nobody said, but a newer attempt exists or the run ended; not a failure
)

// Job is a job's document, `job.<jobId>` in the bucket "jobs": every fact of it, joined. It holds no
// text; what was said in words stands in the events, whose sequences it lists.
type Job struct {
	V           int      `json:"v"`
	JobID       string   `json:"jobId"`
	Queue       string   `json:"queue"`
	Type        string   `json:"type"`
	State       State    `json:"state"`
	Reason      Reason   `json:"reason,omitempty"` // of the state, where it ended badly or is retrying
	SubmittedAt Time     `json:"submittedAt"`
	UpdatedAt   Time     `json:"updatedAt"` // the latest event time
	EndedAt     Time     `json:"endedAt,omitzero"`
	Run         int      `json:"run"`     // the highest
	Attempt     int      `json:"attempt"` // the highest of that run
	Runs        []JobRun `json:"runs"`
	Events      []uint64 `json:"events"`           // stream sequences, ascending, at most MaxJobEvents
	More        int      `json:"more,omitempty"`   // events beyond those
	Orphan      bool     `json:"orphan,omitempty"` // no `submitted` has been seen: unbalances the ledger
}

// RunOf gives a run by its number; nil where there is none, or no job.
func (j *Job) RunOf(number int) *JobRun {
	if j == nil {
		return nil
	}
	for i := range j.Runs {
		if j.Runs[i].Run == number {
			return &j.Runs[i]
		}
	}
	return nil
}

// Ended tells whether the document holds a run as ended.
func (j *Job) Ended(run int) bool {
	for i := range j.Runs {
		if r := &j.Runs[i]; r.Run >= run && (r.Run > run || r.Outcome != OutcomeNone) {
			return true
		}
	}
	return false
}

// MaxJobEvents is the most sequences that a document lists.
const MaxJobEvents = 512

// JobRun is one run in a job's document.
type JobRun struct {
	Run         int          `json:"run"`
	SubmittedAt Time         `json:"submittedAt,omitzero"`
	QueuedAt    Time         `json:"queuedAt,omitzero"`
	EndedAt     Time         `json:"endedAt,omitzero"`
	Outcome     Outcome      `json:"outcome,omitempty"`
	Reason      Reason       `json:"reason,omitempty"`
	MadeAt      Time         `json:"madeAt,omitzero"`      // of its unit: when Kubernetes made it
	Millicores  int          `json:"millicores,omitempty"` // that each attempt requests, where that is known
	MiB         int          `json:"mib,omitempty"`
	TaskSeq     uint64       `json:"taskSeq,omitempty"` // the event that carries the task
	OutcomeSeq  uint64       `json:"outcomeSeq,omitempty"`
	SaidBy      Source       `json:"saidBy,omitempty"` // whose words of the outcome stand
	Attempts    []JobAttempt `json:"attempts,omitempty"`
}

// JobAttempt is one attempt in a job's document.
type JobAttempt struct {
	Attempt        int    `json:"attempt"`
	ClaimedAt      Time   `json:"claimedAt,omitzero"`
	StartedAt      Time   `json:"startedAt,omitzero"`
	EndedAt        Time   `json:"endedAt,omitzero"`
	Ending         Ending `json:"ending,omitempty"`
	Reason         Reason `json:"reason,omitempty"`         // joined: why it ended badly
	Infrastructure Reason `json:"infrastructure,omitempty"` // what Kubernetes said, even of one that succeeded
	EndingSeq      uint64 `json:"endingSeq,omitempty"`      // the event whose words stand
	SaidBy         Source `json:"saidBy,omitempty"`         // who said it
}

// Attention is the document under KeyAttention: the jobs that somebody may have to send again, oldest
// first, each list bounded. It is what the scheduler learns from, so that it need not read every job.
type Attention struct {
	V        int             `json:"v"`
	AsOf     AsOf            `json:"asOf"`
	Accepted []AttentionItem `json:"accepted"`
	Queued   []AttentionItem `json:"queued"`
	More     int             `json:"more,omitempty"` // jobs beyond the bound
}

// MaxAttention is the most jobs that each list of Attention holds.
const MaxAttention = 512

// AttentionItem names one run that has not been claimed.
type AttentionItem struct {
	JobID   string `json:"jobId"`
	Run     int    `json:"run"`
	Queue   string `json:"queue"`
	Type    string `json:"type"`
	Since   Time   `json:"since"`   // when it was submitted, or queued
	TaskSeq uint64 `json:"taskSeq"` // the event that carries the task
}

// AsOf is the position that a document speaks of.
type AsOf struct {
	Seq  uint64 `json:"seq"`
	Time Time   `json:"time,omitzero"` // of the event at Seq, as the stream stored it
}
