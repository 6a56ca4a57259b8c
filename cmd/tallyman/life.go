package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tallyman/contract"
)

// life is what a person wants to see of a job while it runs.
type life struct {
	JobID    string          `json:"jobId"`
	State    contract.State  `json:"state"`
	Run      int             `json:"run"`
	Attempt  int             `json:"attempt,omitempty"`
	Progress string          `json:"progress,omitempty"`
	Reason   contract.Reason `json:"reason,omitempty"`
	Message  string          `json:"message,omitempty"`
	Began    contract.Time   `json:"began,omitzero"`
	At       contract.Time   `json:"at,omitzero"`
}

// took is how long the job has lived, by event times.
func (l *life) took() time.Duration {
	if l.Began.IsZero() || l.At.Before(l.Began.Time) {
		return 0
	}
	return l.At.Sub(l.Began.Time)
}

// line says it in one line.
func (l *life) line() string { return l.JobID + "  " + l.words() }

// words is the line of a job that is named already.
func (l *life) words() string {
	s := fmt.Sprintf("%-9s", l.State)
	if l.Attempt > 0 {
		s += fmt.Sprintf("  attempt %d", l.Attempt)
	}
	if l.Run > 1 {
		s += fmt.Sprintf("  run %d", l.Run)
	}
	if l.Reason != "" {
		s += "  " + string(l.Reason)
	}
	if l.Message != "" {
		s += ": " + firstLine(l.Message)
	}
	if l.Progress != "" {
		s += "  " + l.Progress
	}
	if t := l.took(); t > 0 {
		s += fmt.Sprintf("  (%.1fs)", t.Seconds())
	}
	return s
}

// states that an event leads to; the ledger's own answer at the end has the last word.
var statesByKind = map[contract.Kind]contract.State{
	contract.Submitted: contract.StateAccepted, contract.Queued: contract.StateQueued,
	contract.Claimed: contract.StateRunning, contract.Started: contract.StateRunning,
	contract.AttemptFailed: contract.StateRetrying, contract.AttemptDisrupted: contract.StateRetrying,
	contract.Succeeded: contract.StateSucceeded, contract.Failed: contract.StateFailed,
	contract.CancelledKind: contract.StateCancelled,
}

// apply takes an event in, and tells whether anything that a person sees has changed.
func (l *life) apply(e contract.Event) bool {
	before := *l
	switch {
	case e.Run < l.Run, e.Run == l.Run && l.late(e):
		return false // another voice, or one that was heard before
	case e.Run > l.Run:
		l.Attempt = 0
	}
	l.State, l.Run, l.Attempt = statesByKind[e.Kind], e.Run, max(l.Attempt, e.Attempt)
	l.Reason, l.Message = e.Reason, e.Message
	if l.Began.IsZero() {
		l.Began = e.Time
	}
	l.At = e.Time
	l.Progress = ""
	return before.State != l.State || before.Attempt != l.Attempt || before.Reason != l.Reason
}

// late tells whether an event of this run says less than is known.
func (l *life) late(e contract.Event) bool {
	return l.State.Ended() || !e.Kind.Ends() && e.Attempt < l.Attempt ||
		e.Attempt == l.Attempt && l.State == contract.StateRetrying && statesByKind[e.Kind] == contract.StateRunning
}

// followJob shows a job's life to see from its first event to its end, and gives the state it ended in.
func (c *client) followJob(ctx context.Context, jobID string, see func(life)) (contract.State, error) {
	l := life{JobID: jobID}
	err := c.follow(ctx, "/jobs/"+jobID+"/events", "", func(e sse) error {
		switch e.event {
		case "end":
			var end struct {
				State contract.State `json:"state"`
			}
			if err := json.Unmarshal([]byte(e.data), &end); err != nil {
				return fmt.Errorf("the end of job %s: %w", jobID, err)
			}
			l.State = end.State
			return errEnough
		case "progress":
			if l.progress(e.data) {
				see(l)
			}
			return nil
		}
		ev, err := contract.DecodeEvent([]byte(e.data))
		if err != nil {
			return nil // a kind that this build does not know
		}
		if l.apply(ev) {
			see(l)
		}
		return nil
	})
	return l.State, err
}

// progress takes in what the work said of itself, and tells whether that is new. It comes by a shorter way than
// events, so it may be of an attempt that is not yet known to run; and it may still be told of one that has failed.
func (l *life) progress(data string) bool {
	if l.State != contract.StateRunning {
		return false
	}
	var p struct {
		At   contract.Time `json:"at"`
		Data struct {
			Percent *float64 `json:"percent"`
			Done    *float64 `json:"done"`
			Total   *float64 `json:"total"`
			Message string   `json:"message"`
		} `json:"data"`
	}
	if json.Unmarshal([]byte(data), &p) != nil {
		return false
	}
	before := l.Progress
	switch d := p.Data; {
	case d.Percent != nil:
		l.Progress = fmt.Sprintf("%.0f%%", *d.Percent)
	case d.Done != nil && d.Total != nil && *d.Total > 0:
		l.Progress = fmt.Sprintf("%.0f%%", 100**d.Done / *d.Total)
	case d.Done != nil:
		l.Progress = fmt.Sprintf("%.0f done", *d.Done)
	default:
		l.Progress = firstLine(d.Message)
	}
	l.At = p.At
	return before != l.Progress
}

func firstLine(s string) string {
	s, rest, more := strings.Cut(s, "\n")
	s = inOneCell(s)
	for i := range s {
		if i > 120 {
			return s[:i] + "…"
		}
	}
	if more && rest != "" {
		return s + "…"
	}
	return s
}

// exitOf turns the state that a job ended in into how the program ends.
func exitOf(s contract.State) error {
	switch s {
	case contract.StateSucceeded:
		return nil
	case contract.StateCancelled:
		return &exit{code: exitCancelled}
	}
	return &exit{code: exitBad}
}
