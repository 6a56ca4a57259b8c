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
	Kept     Kept           `json:"kept"`
	Window   *Window        `json:"window,omitempty"` // only of an answer that was asked for one
	Series   []Point        `json:"series,omitempty"` // only of an answer that was asked for it
}

// Kept is from when on windows are kept, for each span: older time is told by the next longer one. Jobs is
// from when on ended jobs have their documents: of those that ended before, the sums are left.
type Kept struct {
	Jobs   Time `json:"jobs,omitzero"`
	Minute Time `json:"minute,omitzero"`
	Hour   Time `json:"hour,omitzero"`
	Day    Time `json:"day,omitzero"`
}

// KeptAt is which windows are kept when events have come as far as horizon, in milliseconds; 0: none has.
func KeptAt(horizon int64) Kept {
	if horizon == 0 {
		return Kept{}
	}
	since := func(s Span) Time { return AtMilli(max(1, s.Floor(horizon))) }
	return Kept{Minute: since(Minute), Hour: since(Hour), Day: since(Day)}
}

// Of is from when on windows of a span are kept.
func (k *Kept) Of(s Span) Time {
	switch s {
	case Minute:
		return k.Minute
	case Hour:
		return k.Hour
	}
	return k.Day
}

// Window is the time that an answer is of: what was asked for, widened to whole windows.
type Window struct {
	Since Time `json:"since,omitzero"` // absent: from the first on
	Until Time `json:"until,omitzero"` // absent: as far as the books have come
}

// Point is one window of a series.
type Point struct {
	At         Time    `json:"at"`   // where it begins
	Span       Span    `json:"span"` // how long it is
	Submitted  int     `json:"submitted"`
	SucceedJob int     `json:"succeedJob"`
	JobRetry   int     `json:"jobRetry"`
	FailedJob  int     `json:"failedJob"`
	Noop       int     `json:"noop"` // pods that found nothing
	Waste      Waste   `json:"waste"`
	Claim      Latency `json:"claim"`
	Work       Latency `json:"work"`
	Overall    Latency `json:"overall"`
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

	CPUSeconds       float64 `json:"cpuSeconds"`       // cores requested × seconds of the wasted attempts whose requests are known
	MemoryMiBSeconds int     `json:"memoryMiBSeconds"` // likewise, memory
	Known            int     `json:"known"`            // how many those are
}

// Latencies is how long each stage took, over the runs that passed it.
type Latencies struct {
	Queue   Latency `json:"queue"`   // submitted to queued
	Unit    Latency `json:"unit"`    // queued to the unit being made, where Kubernetes said when
	Boot    Latency `json:"boot"`    // the unit made to the first claim, where Kubernetes said when
	Claim   Latency `json:"claim"`   // queued to the first claim
	Start   Latency `json:"start"`   // claimed to started, each attempt
	Work    Latency `json:"work"`    // started to ended, each attempt
	Overall Latency `json:"overall"` // submitted to the run's end
}

// Of points at the latency of a stage.
func (l *Latencies) Of(s Stage) *Latency {
	return [...]*Latency{&l.Queue, &l.Unit, &l.Boot, &l.Claim, &l.Start, &l.Work, &l.Overall}[s]
}

// Latency is a histogram's summary in seconds; each percentile is within 1/32 of the true one, see SketchError.
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

// Empty tells whether it shows nothing but zeros.
func (s *Sum) Empty() bool {
	return s.SucceedJob == 0 && s.JobRetry == 0 && s.FailedJob == 0 && s.Jobs == JobCounts{} && s.Attempts == AttemptCounts{} && len(s.Failures) == 0
}

// Balance is what `balanced` is made of: it is true where all of these are 0 and Gap is false.
type Balance struct {
	Orphans int    `json:"orphans"`           // jobs with events but no `submitted`
	Off     int    `json:"off"`               // sums that differ from those recomputed from the documents
	Gap     bool   `json:"gap"`               // the stream has no event for sequences that were never folded, and nobody accepted that
	GapAt   uint64 `json:"gapAt,omitempty"`   // the first of them
	GapTo   uint64 `json:"gapTo,omitempty"`   // the last
	Missing uint64 `json:"missing,omitempty"` // how many
	// A person has said that nothing was in those up to here.
	Accepted uint64 `json:"accepted,omitempty"`
	Late     int    `json:"late"`    // events of jobs older than the retention; not an imbalance
	Unknown  int    `json:"unknown"` // events that could not be read; not an imbalance
}

// Audit is the last comparison of the ledger with the world.
type Audit struct {
	At          Time     `json:"at"`
	Unaccounted int      `json:"unaccounted"`
	Jobs        []string `json:"jobs,omitempty"` // the first of them
}
