package contract

// Explanation is the answer of GET /jobs/{jobId}/explain: where a job is and what it waits for, or why it
// ended as it did; on what evidence; and what a person can do.
type Explanation struct {
	JobID     string      `json:"jobId"`
	Queue     string      `json:"queue"`
	Type      string      `json:"type"`
	State     State       `json:"state"`
	Reason    Reason      `json:"reason,omitempty"`
	Run       int         `json:"run"`
	Attempt   int         `json:"attempt"`
	Situation string      `json:"situation"` // one word of a closed set, for programs
	Sentence  string      `json:"sentence"`
	Next      []string    `json:"next"`           // what a person can do; empty where there is nothing to do
	Due       Time        `json:"due,omitzero"`   // when it goes on by itself, where that is known
	At        Time        `json:"at"`             // when all of this was gathered
	Evidence  []Evidence  `json:"evidence"`       // in the order of the way of a job
	Attempts  []AttemptOf `json:"attempts"`       // of every run
	More      int         `json:"more,omitempty"` // attempts before those
}

// MaxExplained is the most attempts that an explanation lists.
const MaxExplained = 100

// EvidenceSource says who the evidence is from.
type EvidenceSource string

// Who is asked, in the order of the way of a job.
const (
	FromLedger     EvidenceSource = "ledger"     // the books: what was said of the job
	FromNATS       EvidenceSource = "nats"       // the stream, and how far the ledger is behind it
	FromSQS        EvidenceSource = "sqs"        // what the queue holds
	FromBridge     EvidenceSource = "bridge"     // how long ago Kubernetes was looked at
	FromKEDA       EvidenceSource = "keda"       // the ScaledJob
	FromUnit       EvidenceSource = "unit"       // Kubernetes Jobs and their pods
	FromKubernetes EvidenceSource = "kubernetes" // Kubernetes Events, in their own words
	FromClaim      EvidenceSource = "claim"      // who owns the run
	FromWork       EvidenceSource = "work"       // what the work said of itself
)

// Evidence is one thing that is known, and since when; or that a source did not answer.
type Evidence struct {
	Source     EvidenceSource `json:"source"`
	Says       string         `json:"says"`
	At         Time           `json:"at,omitzero"`          // when it was so, by its source
	AgeSeconds float64        `json:"ageSeconds,omitempty"` // that long before the explanation
	Silent     bool           `json:"silent,omitempty"`     // the source did not answer in time, or refused
}

// AttemptOf is one attempt in an explanation.
type AttemptOf struct {
	Run       int    `json:"run"`
	Attempt   int    `json:"attempt"`
	StartedAt Time   `json:"startedAt,omitzero"`
	EndedAt   Time   `json:"endedAt,omitzero"`
	Ending    Ending `json:"ending,omitempty"`
	Reason    Reason `json:"reason,omitempty"`
	ExitCode  *int   `json:"exitCode,omitempty"`
	Message   string `json:"message,omitempty"`
	Tail      string `json:"tail,omitempty"` // the last lines of its output
	Pod       string `json:"pod,omitempty"`
	Node      string `json:"node,omitempty"`
}
