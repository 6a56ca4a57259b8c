package bridge

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// maxTermination is what the kubelet keeps of a termination message.
const maxTermination = 4096

// word is a processor's last word, the JSON in its container's termination message. All of it is a claim
// of a program that a user's image may have replaced, so nothing in it is believed that does not name the
// very unit and attempt it stands in.
type word struct {
	V          int             `json:"v"`
	Unit       string          `json:"unit"`
	JobID      string          `json:"jobId"`
	Run        int             `json:"run"`
	Attempt    int             `json:"attempt"`
	Outcome    string          `json:"outcome"`
	Reason     contract.Reason `json:"reason"`
	ExitCode   *int            `json:"exitCode"`
	Message    string          `json:"message"`
	Recorded   bool            `json:"recorded"`
	DurationMS int             `json:"durationMs"`
	Result     json.RawMessage `json:"result"`
}

const (
	wordVersion       = 1
	wordSucceeded     = string(contract.OutcomeSucceeded)
	wordFailed        = string(contract.OutcomeFailed)
	wordAttemptFailed = "attempt-failed"
)

// wordOf reads a termination message; nil where there is none that can be read.
func wordOf(t *corev1.ContainerStateTerminated) *word {
	if t == nil || t.Message == "" || len(t.Message) > maxTermination {
		return nil
	}
	var w word
	if json.Unmarshal([]byte(t.Message), &w) != nil || w.V != wordVersion {
		return nil
	}
	if !w.Reason.Known() {
		w.Reason = ""
	}
	if w.DurationMS < 0 {
		w.DurationMS = 0
	}
	return &w
}

// speaksOf tells whether the word is about this attempt of this claim.
func (w *word) speaksOf(c *contract.UnitRecord, attempt int) bool {
	return w != nil && attempt > 0 && w.Unit == c.Unit && w.JobID == c.JobID && w.Run == c.Run && w.Attempt == attempt
}

// failed tells whether the word says that the work itself ended badly.
func (w *word) failed() bool {
	return w != nil && (w.Outcome == wordFailed || w.Outcome == wordAttemptFailed)
}
