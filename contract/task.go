package contract

import (
	"encoding/base64"
	"slices"
)

// Limits of a task.
const (
	MaxTaskBytes     = 256 << 10 // a task whose payload is JSON, all in all
	MaxEnvelopeBytes = 384 << 10 // the same with a foreign payload, which base64 makes a third longer
	MaxPayloadBytes  = 256 << 10
	MaxRun           = 1_000_000
	MaxTags          = 10
	MaxTag           = 64
	MaxSubmitter     = 128
	MaxTimeoutSecs   = 7 * 24 * 3600
	MaxDelaySeconds  = 900 // what SQS can hold a message back
	TaskVersion      = 1
)

// TaskSource says who made the run.
type TaskSource string

const (
	FromAPI      TaskSource = "api"
	FromSchedule TaskSource = "schedule"
	FromRequeue  TaskSource = "requeue"  // a person or a program asked for another run
	FromRerun    TaskSource = "rerun"    // the type's `reruns` did
	FromRecovery TaskSource = "recovery" // the queue's `onLost` did
	FromForeign  TaskSource = "foreign"  // the message was sent past us
)

// taskSources is never written to.
var taskSources = [...]TaskSource{FromAPI, FromSchedule, FromRequeue, FromRerun, FromRecovery, FromForeign}

// ValidTaskSource tells whether s is of the closed set.
func ValidTaskSource(s string) bool { return slices.Contains(taskSources[:], TaskSource(s)) }

// Task is the body of the message that carries a run. Its payload is opaque: one JSON value kept byte
// for byte, or, for a foreign job, any bytes at all.
type Task struct {
	JobID          string
	Run            int
	Type           string
	Queue          string
	Payload        []byte // one JSON value, unless Foreign is set
	Foreign        bool   // the payload is any bytes; on the wire it is payloadBase64
	SubmittedAt    Time   // of the job, the same in every run
	Submitter      string
	Source         TaskSource
	Schedule       string // id of the schedule that made it
	ScheduledFor   Time   // the tick that made it
	NotBefore      Time   // it was sent with a delay until then
	TimeoutSeconds int    // of each attempt; 0: the type's
	Tags           []string
}

type taskWire struct {
	V              int        `json:"v"`
	JobID          string     `json:"jobId"`
	Run            int        `json:"run"`
	Type           string     `json:"type"`
	Queue          string     `json:"queue"`
	SubmittedAt    Time       `json:"submittedAt"`
	Submitter      string     `json:"submitter"`
	Source         TaskSource `json:"source"`
	Schedule       string     `json:"schedule,omitempty"`
	ScheduledFor   Time       `json:"scheduledFor,omitzero"`
	NotBefore      Time       `json:"notBefore,omitzero"`
	TimeoutSeconds int        `json:"timeoutSeconds,omitempty"`
	Tags           []string   `json:"tags,omitempty"`
	PayloadBase64  *string    `json:"payloadBase64,omitempty"`
}

// Encode writes the envelope. White space around the payload is not part of it, and does not come back from
// DecodeTask.
func (t *Task) Encode() ([]byte, error) {
	w := taskWire{
		V: TaskVersion, JobID: t.JobID, Run: t.Run, Type: t.Type, Queue: t.Queue, SubmittedAt: t.SubmittedAt,
		Submitter: t.Submitter, Source: t.Source, Schedule: t.Schedule, ScheduledFor: t.ScheduledFor,
		NotBefore: t.NotBefore, TimeoutSeconds: t.TimeoutSeconds, Tags: t.Tags,
	}
	if t.Foreign {
		s := base64.StdEncoding.EncodeToString(t.Payload)
		w.PayloadBase64 = &s
	}
	b, err := encode(w)
	if err != nil {
		return nil, err
	}
	if !t.Foreign {
		if b, err = splice(b, "payload", t.Payload); err != nil {
			return nil, err
		}
	}
	if _, err := DecodeTask(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeTask reads an envelope. Unknown fields are dropped; every fault has a code.
func DecodeTask(b []byte) (Task, error) {
	var o object
	if err := o.open(b, MaxEnvelopeBytes); err != nil {
		return Task{}, err
	}
	o.version(TaskVersion)
	t := Task{
		JobID:        o.jobID("jobId", true),
		Run:          o.integer("run", true, 1, MaxRun),
		Type:         o.token("type", true),
		Queue:        o.token("queue", true),
		SubmittedAt:  o.time("submittedAt", true),
		Submitter:    o.word("submitter", true, submitterForm),
		Source:       oneOf(&o, "source", true, taskSources[:]),
		Schedule:     o.token("schedule", false),
		ScheduledFor: o.time("scheduledFor", false),
		NotBefore:    o.time("notBefore", false),
		Tags:         o.words("tags", MaxTags, tagForm),

		TimeoutSeconds: o.integerOr0("timeoutSeconds", 1, MaxTimeoutSecs),
	}
	t.readPayload(&o, len(b))
	if o.err != nil {
		return Task{}, o.err
	}
	return t, nil
}

func (t *Task) readPayload(o *object, size int) {
	raw := o.raw("payload") // null is a payload like any other
	switch {
	case raw != "" && o.has("payloadBase64"):
		o.fail(CodeInvalidValue, "payloadBase64", "stands beside payload; one of the two")
	case o.has("payloadBase64"):
		t.Payload, t.Foreign = o.bytes("payloadBase64", true, 0, MaxPayloadBytes), true
	case raw == "":
		o.fail(CodeMissingField, "payload", "is required")
	case size > MaxTaskBytes:
		o.fail(CodeTooLarge, "", "%d bytes, at most %d are allowed", size, MaxTaskBytes)
	default:
		t.Payload = []byte(raw)
	}
}

// ForeignTask is the task of a message that is not our envelope.
func ForeignTask(queue, jobType, messageID string, body []byte, sent Time) Task {
	return Task{
		JobID: ForeignID(queue, messageID), Run: 1, Type: jobType, Queue: queue, Payload: body, Foreign: true,
		SubmittedAt: sent, Submitter: "sqs", Source: FromForeign,
	}
}
