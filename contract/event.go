package contract

import (
	"encoding/json"
	"slices"
	"strings"
)

// Kind is what an event says happened.
type Kind string

// Facts of a job.
const (
	Submitted        Kind = "submitted"         // a run exists; carries the whole task
	Queued           Kind = "queued"            // SQS has accepted the run's task
	Claimed          Kind = "claimed"           // a unit owns the run; attempt n begins
	Started          Kind = "started"           // the work begins
	AttemptFailed    Kind = "attempt-failed"    // the attempt ended badly
	AttemptDisrupted Kind = "attempt-disrupted" // Kubernetes took the pod away; no retry is spent
	Succeeded        Kind = "succeeded"         // the run's work is done
	Failed           Kind = "failed"            // no attempt is left
	CancelledKind    Kind = "cancelled"         // by request
)

// Facts of a unit: counted, but they make no job known and move none.
const (
	Noop        Kind = "noop"         // a pod found no message
	Duplicate   Kind = "duplicate"    // a second copy of a run's message was dropped
	Rejected    Kind = "rejected"     // a message that nobody can read
	ClaimFailed Kind = "claim-failed" // a pod never came to claim
)

// kinds is never written to; first the facts of a job, in the order of a life.
var kinds = [...]Kind{
	Submitted, Queued, Claimed, Started, AttemptFailed, AttemptDisrupted, Succeeded, Failed, CancelledKind,
	Noop, Duplicate, Rejected, ClaimFailed,
}

// Kinds lists the facts of a job in the order of a life.
func Kinds() []Kind { return slices.Clone(kinds[:slices.Index(kinds[:], Noop)]) }

// OfUnit tells whether the fact is a unit's, not a job's.
func (k Kind) OfUnit() bool {
	return k == Noop || k == Duplicate || k == Rejected || k == ClaimFailed
}

// OfRun tells whether the fact is a whole run's, so that its attempt is 0.
func (k Kind) OfRun() bool {
	return k == Submitted || k == Queued || k == Failed || k == CancelledKind
}

// Ends tells whether the fact ends a run.
func (k Kind) Ends() bool { return k == Succeeded || k == Failed || k == CancelledKind }

// Known tells whether k is of the closed set.
func (k Kind) Known() bool { return slices.Contains(kinds[:], k) }

// Source is the component that says an event.
type Source string

const (
	SourceAPI       Source = "api"
	SourceScheduler Source = "scheduler"
	SourceProcessor Source = "processor"
	SourceBridge    Source = "bridge"
)

// sources is never written to.
var sources = [...]Source{SourceAPI, SourceScheduler, SourceProcessor, SourceBridge}

// Limits of an event.
const (
	MaxEventBytes   = 1 << 20 // NATS's own default for a message
	MaxMessageBytes = 1 << 10
	MaxTailBytes    = 4 << 10
	MaxResultBytes  = 32 << 10
	MaxAttempts     = 32 // of one unit; a 33rd pod closes it failed
	BackoffLimit    = 2  // of a unit: so many retries follow a failed attempt; one that was disrupted spends none
	MaxNameBytes    = 253
	MaxDurationMS   = 1 << 40 // 34 years: a limit, not a promise
	MaxRequest      = 1 << 30 // of millicores or MiB: likewise

	typePrefix      = "dev.tallyman.job."
	typeVersion     = ".v1"
	specVersion     = "1.0"
	contentTypeData = "application/json"
)

// Event is one fact. Kind, Job (or Unit), Run and Attempt are its identity, together with Source.
type Event struct {
	Kind    Kind
	Source  Source
	Time    Time   // when it happened
	Queue   string // the queue of the job or of the unit
	Type    string // the job type; NoType for a unit's fact
	JobID   string // "" for most facts of a unit
	Run     int
	Attempt int // 0 for a fact of a whole run

	SubmittedAt Time   // of the job: derived ids tell no age
	Task        []byte // submitted: the envelope, whole

	Unit      string // the unit's UID
	Pod       string // the pod's UID
	PodName   string
	Receipt   string // ReceiptHash of the message that a unit's fact speaks of
	Cluster   string
	Namespace string
	Name      string // of the Kubernetes Job
	Node      string

	MadeAt     Time // of the unit: when its Kubernetes Job was made
	Millicores int  // that the attempt's pod requests; 0: none, or not known
	MiB        int  // likewise, memory

	Reason     Reason
	ExitCode   *int
	Message    string          // one or two sentences for a person
	Tail       string          // the last lines of the attempt's output
	Result     json.RawMessage // compact once decoded, so that equal results are equal bytes
	DurationMS int             // of the attempt's work
}

// ID is the derived identity of the fact, the CloudEvents id.
func (e *Event) ID() string {
	if !e.Kind.OfUnit() {
		return EventID(e.JobID, e.Run, e.Attempt, e.Kind)
	}
	receipt := e.Receipt
	if receipt == "" {
		receipt = NoType
	}
	return e.Unit + "/" + e.Pod + "/" + receipt + "/" + string(e.Kind)
}

// hasID compares without making the id: each event that is read is asked.
func (e *Event) hasID(id string) bool {
	if e.Kind.OfUnit() {
		return id == e.ID()
	}
	var b [128]byte
	return id == string(appendEventID(b[:0], e.JobID, e.Run, e.Attempt, e.Kind))
}

// MsgID is what JetStream sees repeats by.
func (e *Event) MsgID() string { return MsgID(e.ID(), e.Source) }

// Subject is where the event is published.
func (e *Event) Subject() string {
	if e.Kind.OfUnit() {
		return EventSubject(e.Queue, NoType, e.Kind, e.Unit)
	}
	return EventSubject(e.Queue, e.Type, e.Kind, e.JobID)
}

// about is the CloudEvents subject: the job, or the unit for a unit's fact.
func (e *Event) about() string {
	if e.Kind.OfUnit() {
		return e.Unit
	}
	return e.JobID
}

// Encode writes the CloudEvent, and refuses one that DecodeEvent would refuse. Texts are cut to their
// limits here, so that no writer can lose an event to a long message.
func (e *Event) Encode() ([]byte, error) {
	w := writer{b: make([]byte, 0, 1024+2*len(e.Task)+len(e.Message)+len(e.Tail)+len(e.Result))}
	w.open("")
	w.text("specversion", specVersion)
	w.text("id", e.ID())
	w.text("source", string(e.Source))
	w.text("type", typePrefix+string(e.Kind)+typeVersion)
	w.text("subject", e.about())
	w.time("time", e.Time)
	w.text("datacontenttype", contentTypeData)
	w.open("data")
	e.writeData(&w)
	w.close()
	w.close()
	if w.err != nil {
		return nil, w.err
	}
	b := w.b
	if _, err := DecodeEvent(b); err != nil {
		return nil, err
	}
	return b, nil
}

func (e *Event) writeData(w *writer) {
	w.text("queue", e.Queue)
	if !e.Kind.OfUnit() {
		w.text("type", e.Type)
	}
	w.text("jobId", e.JobID)
	w.number("run", e.Run)
	w.number("attempt", e.Attempt)
	w.time("submittedAt", e.SubmittedAt)
	w.bytes("task", e.Task)
	w.text("unit", e.Unit)
	w.text("pod", e.Pod)
	w.text("podName", e.PodName)
	w.text("receipt", e.Receipt)
	w.text("cluster", e.Cluster)
	w.text("namespace", e.Namespace)
	w.text("name", e.Name)
	w.text("node", e.Node)
	w.time("madeAt", e.MadeAt)
	w.number("millicores", e.Millicores)
	w.number("mib", e.MiB)
	w.text("reason", string(e.Reason))
	if e.ExitCode != nil {
		w.integer("exitCode", *e.ExitCode)
	}
	w.text("message", CutText(e.Message, MaxMessageBytes))
	w.text("tail", CutTail(e.Tail, MaxTailBytes))
	w.json("result", e.Result)
	w.number("durationMs", e.DurationMS)
}

// DecodeEvent reads a CloudEvent of ours. A kind that is not known has CodeUnknownVersion.
func DecodeEvent(b []byte) (Event, error) {
	if err := fits(len(b), MaxEventBytes); err != nil {
		return Event{}, err
	}
	return DecodeEventText(string(b))
}

// DecodeEventText is DecodeEvent for who has it as text: what the event says are parts of it, not copies.
func DecodeEventText(text string) (Event, error) {
	if err := fits(len(text), MaxEventBytes); err != nil {
		return Event{}, err
	}
	plain, fault := checkText(text)
	if fault != nil {
		return Event{}, fault
	}
	if plain {
		if e, ok := eventInOrder(text); ok {
			return e, nil
		}
	}
	o, d := object{}, object{prefix: "data."}
	if err := o.split(text, plain, &d); err != nil {
		return Event{}, err
	}
	readKind(&o) // first: a kind that is not known here may have another shape
	var e Event
	if err := e.read(&o, &d); err != nil {
		return Event{}, err
	}
	return e, nil
}

// eventInOrder reads an event as Encode wrote it, or the Rust program, which is every one on a stream that
// nobody else writes to.
func eventInOrder(text string) (e Event, ok bool) {
	o, d := object{}, object{prefix: "data."}
	o.begin(scanner{b: text, plain: true})
	if e.read(&o, &d) != nil {
		return e, false
	}
	if o.walk, ok = d.ended(); !ok {
		return e, false
	}
	behind, ok := o.ended()
	behind.end()
	return e, ok && behind.err == nil
}

// read asks for the fields in the order in which they are written.
func (e *Event) read(o, d *object) *Error {
	o.constant("specversion", true, specVersion)
	id := o.text("id", true, 512)
	e.Source = oneOf(o, "source", true, sources[:])
	e.Kind = readKind(o)
	subject := o.text("subject", true, MaxToken)
	e.Time = o.time("time", true)
	o.constant("datacontenttype", false, contentTypeData)
	if err := o.enter("data", d); err != nil {
		return err
	}
	e.readData(d)
	switch {
	case d.err != nil:
		return d.err
	case subject != e.about():
		return Errorf(CodeInvalidValue, "subject", "is not what the data says: %s", e.about())
	case !e.hasID(id):
		return Errorf(CodeInvalidValue, "id", "is not what the data says: %s", e.ID())
	}
	return nil
}

func readKind(o *object) Kind {
	s := o.text("type", true, 128)
	if o.err != nil {
		return ""
	}
	name, ok := strings.CutPrefix(s, typePrefix)
	name, ok2 := strings.CutSuffix(name, typeVersion)
	for _, k := range kinds {
		if ok && ok2 && string(k) == name {
			return k
		}
	}
	o.fail(CodeUnknownVersion, "type", "%q is not known here", CutText(s, 80))
	return ""
}

func (e *Event) readData(d *object) {
	unit := e.Kind.OfUnit()
	e.Queue = d.token("queue", true)
	e.Type = NoType
	if !unit {
		e.Type = d.token("type", true)
	}
	e.JobID = d.jobID("jobId", !unit)
	if !unit || d.has("run") {
		e.Run = d.integer("run", true, 1, MaxRun)
	}
	if unit || e.Kind.OfRun() {
		d.absent("attempt", "a fact of a whole run or of a unit has none")
	} else {
		e.Attempt = d.integer("attempt", true, 1, MaxAttempts+1)
	}
	e.SubmittedAt = d.time("submittedAt", !unit)
	e.Task = d.bytes("task", e.Kind == Submitted, 1, MaxEnvelopeBytes)
	e.Unit = d.token("unit", unit)
	e.Pod = d.token("pod", unit)
	e.PodName = d.word("podName", false, nameForm)
	e.Receipt = d.token("receipt", false)
	e.Cluster = d.word("cluster", false, nameForm)
	e.Namespace = d.word("namespace", false, nameForm)
	e.Name = d.word("name", false, nameForm)
	e.Node = d.word("node", false, nameForm)
	e.MadeAt = d.time("madeAt", false)
	e.Millicores = d.integerOr0("millicores", 0, MaxRequest)
	e.MiB = d.integerOr0("mib", 0, MaxRequest)
	e.readOutcome(d)
}

func (e *Event) readOutcome(d *object) {
	e.Reason = oneOf(d, "reason", e.Kind == AttemptFailed || e.Kind == Failed || e.Kind == ClaimFailed, reasons[:])
	e.ExitCode = d.exitCode("exitCode")
	e.Message = d.text("message", false, MaxMessageBytes)
	e.Tail = d.text("tail", false, MaxTailBytes)
	e.Result = d.json("result", MaxResultBytes)
	e.DurationMS = d.integerOr0("durationMs", 0, MaxDurationMS)
}

// CutText cuts s to limit bytes at a character, with an ellipsis where it was cut.
func CutText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	ellipsis := "…"
	if limit < len(ellipsis) {
		ellipsis = ""
	}
	return strings.ToValidUTF8(s[:limit-len(ellipsis)], "") + ellipsis
}

// CutTail keeps the last limit bytes of s, from a character on.
func CutTail(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[len(s)-limit:], "")
}
