package api

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"tallyman/contract"
)

// Limits of what running jobs say: one word of each, of so many bytes, of the jobs that spoke last.
const (
	maxProgress   = 4 << 10
	progressBytes = 4 << 20
)

// progress keeps the last word of every running job. Nothing is lost with it: it is a courtesy.
type progress struct {
	last  *lru[string, *progressView]
	bells *bells
	now   func() time.Time
}

// progressView is what a job said last.
type progressView struct {
	At   contract.Time   `json:"at"`
	Data json.RawMessage `json:"data"`
}

func newProgress(b *bells, now func() time.Time) *progress {
	return &progress{last: newLRU[string, *progressView](progressBytes), bells: b, now: now}
}

func (p *progress) run(ctx context.Context, signals Signals) error {
	return signals.Subscribe(ctx, contract.ProgressSubjects, p.take)
}

// take keeps one word. Text that is no JSON becomes a JSON string.
func (p *progress) take(subject string, data []byte) {
	id := subject[strings.LastIndexByte(subject, '.')+1:]
	if !contract.ValidJobID(id) || len(data) > maxProgress {
		return
	}
	if !json.Valid(data) {
		data, _ = json.Marshal(string(data)) // a string is never refused
	}
	p.last.put(id, &progressView{At: contract.At(p.now()), Data: data}, len(id)+len(data)+128)
	p.bells.ring(id)
}

// of gives what a job said last, nil where it said nothing.
func (p *progress) of(id string) *progressView {
	v, _ := p.last.get(id)
	return v
}
