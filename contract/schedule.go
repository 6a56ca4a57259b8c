package contract

import "encoding/json"

// Limits of schedules.
const (
	MaxSchedules = 10_000
	MaxCron      = 256
	MaxZone      = 64
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
	Payload        json.RawMessage `json:"payload"`
	Tags           []string        `json:"tags,omitempty"`
	TimeoutSeconds int             `json:"timeoutSeconds,omitempty"`
	Submitter      string          `json:"submitter"`
	CreatedAt      Time            `json:"createdAt"`
	LastTick       Time            `json:"lastTick,omitzero"` // the last nominal time that was fired
	LastJobID      string          `json:"lastJobId,omitempty"`
}
