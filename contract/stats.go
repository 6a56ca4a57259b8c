package contract

// Stats is the answer of GET /jobs/stats. The first three keys are the original's, with its meaning: at
// rest failedJob - jobRetry jobs ended Failed, and succeedJob + failedJob - jobRetry runs ended.
type Stats struct {
	SucceedJob int `json:"succeedJob"` // runs that succeeded
	JobRetry   int `json:"jobRetry"`   // failed attempts less runs that ended failed
	FailedJob  int `json:"failedJob"`  // failed attempts; a run that failed without one counts one

	AsOf     AsOf           `json:"asOf"`
	Balanced bool           `json:"balanced"` // the ledger's own check: see Balance
	Jobs     JobCounts      `json:"jobs"`
	Attempts AttemptCounts  `json:"attempts"`
	Units    UnitCounts     `json:"units"`
	Waste    Waste          `json:"waste"`
	Failures map[Reason]int `json:"failures"` // failed attempts by reason
	Latency  Latencies      `json:"latency"`
	ByQueue  map[string]Sum `json:"byQueue"`
	ByType   map[string]Sum `json:"byType"`
	Balance  Balance        `json:"balance"`
	Audit    *Audit         `json:"audit"` // the last audit against SQS and Kubernetes; null before the first
}

// JobCounts is every job by its state. Submitted is always the sum of the others.
type JobCounts struct {
	Submitted int `json:"submitted"`
	Accepted  int `json:"accepted"`
	Queued    int `json:"queued"`
	Running   int `json:"running"`
	Retrying  int `json:"retrying"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
}

// Of points at the count of a state; nil for a word outside of the set.
func (c *JobCounts) Of(s State) *int {
	switch s {
	case StateAccepted:
		return &c.Accepted
	case StateQueued:
		return &c.Queued
	case StateRunning:
		return &c.Running
	case StateRetrying:
		return &c.Retrying
	case StateSucceeded:
		return &c.Succeeded
	case StateFailed:
		return &c.Failed
	case StateCancelled:
		return &c.Cancelled
	}
	return nil
}

// AttemptCounts is every attempt by its ending. Second is how many were second or later tries.
type AttemptCounts struct {
	Total      int `json:"total"`
	Running    int `json:"running"`
	Succeeded  int `json:"succeeded"`
	Failed     int `json:"failed"`
	Disrupted  int `json:"disrupted"`
	Superseded int `json:"superseded"`
	Second     int `json:"second"`
}

// UnitCounts is the facts of units, which belong to no job.
type UnitCounts struct {
	Noop        int `json:"noop"`
	Duplicate   int `json:"duplicate"`
	Rejected    int `json:"rejected"`
	ClaimFailed int `json:"claimFailed"`
}

// Waste is time that led to nothing.
type Waste struct {
	AttemptSeconds float64 `json:"attemptSeconds"` // of attempts that failed, were disrupted or superseded
	WorkSeconds    float64 `json:"workSeconds"`    // of attempts that succeeded, to compare with
}

// Latencies is how long each stage took, over the runs that passed it.
type Latencies struct {
	Queue   Latency `json:"queue"`   // submitted to queued
	Claim   Latency `json:"claim"`   // queued to the first claim
	Start   Latency `json:"start"`   // claimed to started, each attempt
	Work    Latency `json:"work"`    // started to ended, each attempt
	Overall Latency `json:"overall"` // submitted to the run's end
}

// Latency is a histogram's summary in seconds; each percentile is within 5 % of the true one.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
	Mean  float64 `json:"mean"`
}

// Sum is the part of the stats that is kept for each queue and each type.
type Sum struct {
	SucceedJob int            `json:"succeedJob"`
	JobRetry   int            `json:"jobRetry"`
	FailedJob  int            `json:"failedJob"`
	Jobs       JobCounts      `json:"jobs"`
	Attempts   AttemptCounts  `json:"attempts"`
	Failures   map[Reason]int `json:"failures,omitempty"`
}

// Balance is what `balanced` is made of: it is true where all of these are 0 and Gap is false.
type Balance struct {
	Orphans int    `json:"orphans"`         // jobs with events but no `submitted`
	Off     int    `json:"off"`             // sums that differ from those recomputed from the documents
	Gap     bool   `json:"gap"`             // the stream lost events that were never folded
	GapAt   uint64 `json:"gapAt,omitempty"` // the first sequence that was missing
	Late    int    `json:"late"`            // events of jobs older than the retention; not an imbalance
	Unknown int    `json:"unknown"`         // events that could not be read; not an imbalance
}

// Audit is the last comparison of the ledger with the world.
type Audit struct {
	At          Time     `json:"at"`
	Unaccounted int      `json:"unaccounted"`
	Jobs        []string `json:"jobs,omitempty"` // the first of them
}
