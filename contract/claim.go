package contract

import (
	"encoding/json"
	"strconv"
)

// Limits of the claim's records.
const (
	MaxRecordBytes  = 1 << 20
	MaxReceiptBytes = 4096
	ClaimVersion    = 1
)

// UnitState is how far a unit's record has come. It only moves forward.
type UnitState string

const (
	Intent UnitState = "intent" // a message was received; the run record may or may not name this unit
	Owned  UnitState = "owned"  // the unit owns the run, and attempts are numbered
	Closed UnitState = "closed" // an outcome is recorded; no work may start any more
)

// unitStates is never written to.
var unitStates = [...]UnitState{Intent, Owned, Closed}

// Outcome is how a run ended.
type Outcome string

const (
	OutcomeNone      Outcome = ""
	OutcomeSucceeded Outcome = "succeeded"
	OutcomeFailed    Outcome = "failed"
	OutcomeCancelled Outcome = "cancelled"
)

// outcomes is never written to; a tombstone may stand for all but the first.
var outcomes = [...]Outcome{OutcomeSucceeded, OutcomeFailed, OutcomeCancelled}

// Kind is the event that says the outcome.
func (o Outcome) Kind() Kind { return Kind(o) }

// UnitRecord is `<queue>.unit.<unit>` in the bucket "claims": the claim, seen from the unit. It carries
// the whole task, so a retry pod never receives from SQS. Once closed, said and old it is cut to a stub
// without the task; it is never deleted, for a late pod must still find it closed.
type UnitRecord struct {
	State       UnitState
	Unit        string
	Queue       string
	JobID       string
	Run         int
	Type        string
	SubmittedAt Time
	Task        []byte // the envelope; absent in a stub
	Receipt     string // SQS's handle of the message, so that whoever resumes can delete it
	MessageID   string // SQS's id of the message
	Cluster     string
	Namespace   string
	Name        string   // of the Kubernetes Job
	Attempts    []string // UIDs of the pods, in order; attempt n is index n-1

	CancelRequested bool

	Outcome        Outcome
	OutcomeAttempt int // the attempt that ended it; 0 where none was numbered
	Reason         Reason
	ExitCode       *int
	Message        string
	Tail           string
	Result         json.RawMessage
	DurationMS     int
	ClosedAt       Time
	Said           bool // its outcome is on the stream
}

type unitWire struct {
	V               int             `json:"v"`
	State           UnitState       `json:"state"`
	Unit            string          `json:"unit"`
	Queue           string          `json:"queue"`
	JobID           string          `json:"jobId"`
	Run             int             `json:"run"`
	Type            string          `json:"type"`
	SubmittedAt     Time            `json:"submittedAt"`
	Task            []byte          `json:"task,omitempty"`
	Receipt         string          `json:"receipt,omitempty"`
	MessageID       string          `json:"messageId,omitempty"`
	Cluster         string          `json:"cluster,omitempty"`
	Namespace       string          `json:"namespace,omitempty"`
	Name            string          `json:"name,omitempty"`
	Attempts        []string        `json:"attempts,omitempty"`
	CancelRequested bool            `json:"cancelRequested,omitempty"`
	Outcome         Outcome         `json:"outcome,omitempty"`
	OutcomeAttempt  int             `json:"outcomeAttempt,omitempty"`
	Reason          Reason          `json:"reason,omitempty"`
	ExitCode        *int            `json:"exitCode,omitempty"`
	Message         string          `json:"message,omitempty"`
	Tail            string          `json:"tail,omitempty"`
	Result          json.RawMessage `json:"result,omitempty"`
	DurationMS      int             `json:"durationMs,omitempty"`
	ClosedAt        Time            `json:"closedAt,omitzero"`
	Said            bool            `json:"said,omitempty"`
}

// Encode writes the record, and refuses one that DecodeUnit would refuse.
func (u *UnitRecord) Encode() ([]byte, error) {
	b, err := encode(unitWire{
		V: ClaimVersion, State: u.State, Unit: u.Unit, Queue: u.Queue, JobID: u.JobID, Run: u.Run, Type: u.Type,
		SubmittedAt: u.SubmittedAt, Task: u.Task, Receipt: u.Receipt, MessageID: u.MessageID, Cluster: u.Cluster,
		Namespace: u.Namespace, Name: u.Name, Attempts: u.Attempts, CancelRequested: u.CancelRequested,
		Outcome: u.Outcome, OutcomeAttempt: u.OutcomeAttempt, Reason: u.Reason, ExitCode: u.ExitCode,
		Message: CutText(u.Message, MaxMessageBytes), Tail: CutTail(u.Tail, MaxTailBytes), Result: u.Result,
		DurationMS: u.DurationMS, ClosedAt: u.ClosedAt, Said: u.Said,
	})
	if err != nil {
		return nil, err
	}
	if _, err := DecodeUnit(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeUnit reads a unit's record.
func DecodeUnit(b []byte) (UnitRecord, error) {
	var o object
	if err := o.open(b, MaxRecordBytes); err != nil {
		return UnitRecord{}, err
	}
	o.version(ClaimVersion)
	u := UnitRecord{
		State:           oneOf(&o, "state", true, unitStates[:]),
		Unit:            o.token("unit", true),
		Queue:           o.token("queue", true),
		JobID:           o.jobID("jobId", true),
		Run:             o.integer("run", true, 1, MaxRun),
		Type:            o.token("type", true),
		SubmittedAt:     o.time("submittedAt", true),
		Receipt:         o.text("receipt", false, MaxReceiptBytes),
		MessageID:       o.word("messageId", false, submitterForm),
		Cluster:         o.word("cluster", false, nameForm),
		Namespace:       o.word("namespace", false, nameForm),
		Name:            o.word("name", false, nameForm),
		Attempts:        o.words("attempts", MaxAttempts+1, tokenForm),
		CancelRequested: o.boolean("cancelRequested"),
	}
	u.Task = o.bytes("task", o.err == nil && u.State != Closed, 1, MaxEnvelopeBytes)
	u.readOutcome(&o)
	if o.err != nil {
		return UnitRecord{}, o.err
	}
	return u, nil
}

func (u *UnitRecord) readOutcome(o *object) {
	closed := o.err == nil && u.State == Closed
	if !closed {
		for _, key := range []string{"outcome", "closedAt", "said"} {
			o.absent(key, "only a closed record has one")
		}
	}
	u.Outcome = oneOf(o, "outcome", closed, outcomes[:])
	u.OutcomeAttempt = o.integerOr0("outcomeAttempt", 0, MaxAttempts+1)
	u.Reason = oneOf(o, "reason", closed && u.Outcome == OutcomeFailed, reasons[:])
	u.ExitCode = o.exitCode("exitCode")
	u.Message = o.text("message", false, MaxMessageBytes)
	u.Tail = o.text("tail", false, MaxTailBytes)
	u.Result = o.json("result", MaxResultBytes)
	u.DurationMS = o.integerOr0("durationMs", 0, MaxDurationMS)
	u.ClosedAt = o.time("closedAt", closed)
	u.Said = o.boolean("said")
}

// Stub is the record cut to what a late pod and the books still need.
func (u *UnitRecord) Stub() UnitRecord {
	s := *u
	s.Task, s.Receipt, s.Tail, s.Result, s.Message = nil, "", "", nil, ""
	return s
}

// AttemptOf gives the number of a pod's attempt, 0 where it has none.
func (u *UnitRecord) AttemptOf(pod string) int {
	for i, p := range u.Attempts {
		if p == pod {
			return i + 1
		}
	}
	return 0
}

// Next is what a run record says of the run's successor.
type Next struct {
	Set bool
	Run int // the successor; 0 with Set: there shall be none
}

// RunRecord is `<queue>.run.<jobId>.<run>` in the bucket "claims". It alone says who owns the run: a
// unit, or nobody ever (a tombstone, with the outcome that it stands for).
type RunRecord struct {
	Owner     string // a unit; "" for a tombstone
	Tombstone bool
	Outcome   Outcome // of a tombstone: cancelled, failed, or none where only `next` is to be held
	Reason    Reason
	At        Time // when the tombstone was set: the time of its outcome
	Next      Next
}

type runWire struct {
	V         int     `json:"v"`
	Owner     string  `json:"owner,omitempty"`
	Tombstone bool    `json:"tombstone,omitempty"`
	Outcome   Outcome `json:"outcome,omitempty"`
	Reason    Reason  `json:"reason,omitempty"`
	At        Time    `json:"at,omitzero"`
	Next      string  `json:"next,omitempty"`
}

const nextNone = "none"

// Encode writes the record, and refuses one that DecodeRun would refuse.
func (r *RunRecord) Encode() ([]byte, error) {
	w := runWire{
		V: ClaimVersion, Owner: r.Owner, Tombstone: r.Tombstone, Outcome: r.Outcome, Reason: r.Reason, At: r.At,
	}
	switch {
	case r.Next.Set && r.Next.Run == 0:
		w.Next = nextNone
	case r.Next.Set:
		w.Next = strconv.Itoa(r.Next.Run)
	}
	b, err := encode(w)
	if err != nil {
		return nil, err
	}
	if _, err := DecodeRun(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeRun reads a run's record.
func DecodeRun(b []byte) (RunRecord, error) {
	var o object
	if err := o.open(b, MaxRecordBytes); err != nil {
		return RunRecord{}, err
	}
	o.version(ClaimVersion)
	r := RunRecord{Tombstone: o.boolean("tombstone")}
	r.readOwner(&o)
	next := o.word("next", false, form{validNext, `"none" or the number of a run`})
	if o.err != nil {
		return RunRecord{}, o.err
	}
	if next != "" {
		r.Next.Set = true
		r.Next.Run, _ = strconv.Atoi(next) // "none" gives 0
	}
	return r, nil
}

func (r *RunRecord) readOwner(o *object) {
	if !r.Tombstone {
		for _, key := range []string{"outcome", "reason", "at"} {
			o.absent(key, "only a tombstone has one")
		}
		r.Owner = o.token("owner", true)
		return
	}
	o.absent("owner", "a tombstone has none")
	r.Outcome = oneOf(o, "outcome", false, outcomes[1:])
	r.Reason = oneOf(o, "reason", r.Outcome == OutcomeFailed, reasons[:])
	r.At = o.time("at", true)
}

func validNext(s string) bool {
	n, err := strconv.Atoi(s)
	return s == nextNone || err == nil && n >= 2 && n <= MaxRun && strconv.Itoa(n) == s
}
