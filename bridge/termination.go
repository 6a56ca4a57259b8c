package bridge

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

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

	// maxResultDepth leaves a result room inside of an event's data.
	maxResultDepth = contract.MaxDepth - 2
)

// wordOf reads a termination message; nil where there is none that can be read.
func wordOf(t *corev1.ContainerStateTerminated) *word {
	if t == nil || t.Message == "" || len(t.Message) > maxTermination || !utf8.ValidString(t.Message) {
		return nil
	}
	var w word
	if json.Unmarshal([]byte(t.Message), &w) != nil || w.V != wordVersion {
		return nil
	}
	if !w.Reason.Known() {
		w.Reason = ""
	}
	// What no record and no event can hold must not keep the outcome from being recorded and said.
	w.DurationMS = min(max(w.DurationMS, 0), contract.MaxDurationMS)
	if depth(w.Result) > maxResultDepth {
		w.Result = nil
	}
	return &w
}

// depth is how deep JSON is nested.
func depth(raw json.RawMessage) (deepest int) {
	d, level := json.NewDecoder(bytes.NewReader(raw)), 0
	for {
		token, err := d.Token()
		if err != nil { // the end: it was unmarshalled before
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			level++
			deepest = max(deepest, level)
		case json.Delim('}'), json.Delim(']'):
			level--
		}
	}
}

// speaksOf tells whether the word is about this attempt of this claim.
func (w *word) speaksOf(c *contract.UnitRecord, attempt int) bool {
	return w != nil && attempt > 0 && w.Unit == c.Unit && w.JobID == c.JobID && w.Run == c.Run && w.Attempt == attempt
}

// exitOf is how the work of this attempt exited: the container's own code is the processor's, which knows only a few.
func (w *word) exitOf(c *contract.UnitRecord, attempt int) (code int, ok bool) {
	if !w.speaksOf(c, attempt) || w.ExitCode == nil || *w.ExitCode < 0 || *w.ExitCode > 255 {
		return 0, false
	}
	return *w.ExitCode, true
}

// failed tells whether the word says that the work itself ended badly.
func (w *word) failed() bool {
	return w != nil && (w.Outcome == wordFailed || w.Outcome == wordAttemptFailed)
}
