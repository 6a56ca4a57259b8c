package contract

import (
	"encoding/json"
)

// Limits of schedules.
const (
	MaxSchedules = 10_000
	MaxCron      = 256
	MaxZone      = 64

	ScheduleVersion = 1
)

// Schedule is a rule that makes jobs in time: its record in the bucket "schedules", under its id. Each
// tick makes the job TickID(id, tick), so a restart or a second leader makes the same job again.
type Schedule struct {
	V              int             `json:"v"`
	ID             string          `json:"scheduleId"`
	Cron           string          `json:"cron"`     // five fields, names allowed
	TimeZone       string          `json:"timeZone"` // an IANA name; UTC by default
	Queue          string          `json:"queue"`
	Type           string          `json:"type"`
	Payload        json.RawMessage `json:"payload,omitempty"` // one JSON value, kept byte for byte
	Tags           []string        `json:"tags,omitempty"`
	TimeoutSeconds int             `json:"timeoutSeconds,omitempty"`
	Submitter      string          `json:"submitter"`
	CreatedAt      Time            `json:"createdAt"`
	LastTick       Time            `json:"lastTick,omitzero"` // the last nominal time that was fired
	LastJobID      string          `json:"lastJobId,omitempty"`
}

// Encode writes the record, and refuses one that DecodeSchedule would refuse. The payload is spliced in
// last, as in a task.
func (s *Schedule) Encode() ([]byte, error) {
	w := *s
	w.V, w.Payload = ScheduleVersion, nil
	b, err := encode(w)
	if err != nil {
		return nil, err
	}
	if b, err = splice(b, "payload", s.Payload); err != nil {
		return nil, err
	}
	if _, err := DecodeSchedule(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeSchedule reads a schedule's record. Whether its cron text and its zone mean anything is the
// scheduler's to say.
func DecodeSchedule(b []byte) (Schedule, error) {
	var o object
	if err := o.open(b, MaxRecordBytes); err != nil {
		return Schedule{}, err
	}
	o.version(ScheduleVersion)
	s := Schedule{
		V:              ScheduleVersion,
		ID:             o.token("scheduleId", true),
		Cron:           o.text("cron", true, MaxCron),
		TimeZone:       o.text("timeZone", false, MaxZone),
		Queue:          o.token("queue", true),
		Type:           o.token("type", true),
		Payload:        []byte(o.raw("payload")), // null is a payload like any other
		Tags:           o.words("tags", MaxTags, tagForm),
		TimeoutSeconds: o.integerOr0("timeoutSeconds", 1, MaxTimeoutSecs),
		Submitter:      o.word("submitter", true, submitterForm),
		CreatedAt:      o.time("createdAt", true),
		LastTick:       o.time("lastTick", false),
		LastJobID:      o.text("lastJobId", false, MaxToken),
	}
	if len(s.Payload) == 0 {
		o.fail(CodeMissingField, "payload", "is required")
	}
	if o.err != nil {
		return Schedule{}, o.err
	}
	return s, nil
}
