package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Books are what the ledger is read by: *stream.Stream, and the buckets "jobs" and "audit".
type Books struct {
	Events interface {
		Info(ctx context.Context) (stream.Info, error)
		Event(ctx context.Context, seq uint64) (stream.Stored, error)
	}
	Ledger, Audits Getter
	Now            func() time.Time // nil: time.Now
}

// Getter reads a key; stream.ErrNotFound where it is not there.
type Getter interface {
	Get(ctx context.Context, key string) (stream.Entry, error)
}

func (b *Books) since(t time.Time) time.Duration {
	if b.Now != nil {
		return b.Now().Sub(t)
	}
	return time.Since(t)
}

// How old things may be.
const (
	maxLag      = 10 * time.Second // an event that is not counted
	maxAccepted = 2 * time.Minute  // a task that SQS has not taken; it is sent again after 30 s
	maxAudit    = 30 * time.Minute // the last audit; there is one every ten minutes
)

// Lags checks how far everything is behind.
func (b *Books) Lags() []Check {
	return []Check{
		{Name: "ledger", Run: b.ledger}, {Name: "accepted", Run: b.accepted}, {Name: "audit", Run: b.audit},
	}
}

func read(ctx context.Context, from Getter, key string, into any) (found bool, err error) {
	e, err := from.Get(ctx, key)
	if errors.Is(err, stream.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(e.Value, into); err != nil {
		return false, fmt.Errorf("%s: %w", key, err)
	}
	return true, nil
}

// ledger says how far the books are behind the stream.
func (b *Books) ledger(ctx context.Context) (string, error) {
	var s contract.Stats
	if _, err := read(ctx, b.Ledger, contract.KeyStats, &s); err != nil {
		return "", err
	}
	info, err := b.Events.Info(ctx)
	if err != nil {
		return "", err
	}
	if s.AsOf.Seq > 0 && !s.Balanced {
		return "", fmt.Errorf("the books do not balance: orphans %d, off %d, gap %v; run `tallyman verify`", s.Balance.Orphans, s.Balance.Off, s.Balance.Gap)
	}
	if info.Last <= s.AsOf.Seq {
		return fmt.Sprintf("as of event %d, nothing waits", s.AsOf.Seq), nil
	}
	behind := info.Last - s.AsOf.Seq
	e, err := b.Events.Event(ctx, max(s.AsOf.Seq+1, info.First))
	if err != nil && !errors.Is(err, stream.ErrNotFound) && !errors.Is(err, stream.ErrBehind) { // then it is new
		return "", err
	}
	if age := b.since(e.At); err == nil && age > maxLag {
		return "", fmt.Errorf("%d events are not counted, the oldest for %s: see whether an aggregator runs and leads", behind, age.Round(time.Second))
	}
	return fmt.Sprintf("as of event %d, %d wait", s.AsOf.Seq, behind), nil
}

// accepted says for how long a task has waited for SQS.
func (b *Books) accepted(ctx context.Context) (string, error) {
	var a contract.Attention
	if _, err := read(ctx, b.Ledger, contract.KeyAttention, &a); err != nil {
		return "", err
	}
	if len(a.Accepted) == 0 {
		return "no task waits for SQS", nil
	}
	for i := range a.Accepted[:min(len(a.Accepted), maxTasks)] {
		it := &a.Accepted[i]
		age := b.since(it.Since.Time)
		if age <= maxAccepted {
			break
		}
		later, err := b.later(ctx, it)
		if err != nil {
			return "", err
		}
		if !later {
			return "", fmt.Errorf("run %d of job %s has waited %s for SQS, and %d tasks in all do: see whether queue %s takes messages, and whether a scheduler leads",
				it.Run, it.JobID, age.Round(time.Second), len(a.Accepted)+a.More, it.Queue)
		}
	}
	return fmt.Sprintf("%d tasks wait for SQS, or for their time", len(a.Accepted)+a.More), nil
}

// maxTasks is how many tasks are read, to see whether they are for later.
const maxTasks = 20

// later tells whether a task is not to be sent yet; one that cannot be read is taken for one that is.
func (b *Books) later(ctx context.Context, it *contract.AttentionItem) (bool, error) {
	e, err := b.Events.Event(ctx, it.TaskSeq)
	if errors.Is(err, stream.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	t, err := contract.DecodeTask(e.Event.Task)
	return err != nil || b.since(t.NotBefore.Time) < 0, nil
}

// audit says what the last audit found.
func (b *Books) audit(ctx context.Context) (string, error) {
	var r contract.AuditReport
	found, err := read(ctx, b.Audits, contract.KeyReport, &r)
	switch age := b.since(r.At.Time); {
	case err != nil:
		return "", err
	case !found:
		return "there was none yet", nil
	case age > maxAudit:
		return "", fmt.Errorf("the last audit was %s ago: see whether a scheduler leads, and what it logs of audits", age.Round(time.Second))
	case r.Unaccounted > 0:
		return "", fmt.Errorf("%d jobs or things do not fit, %s ago: run `tallyman verify`", r.Unaccounted, age.Round(time.Second))
	case len(r.Unchecked) > 0:
		return "", fmt.Errorf("the last audit could not look at %s", r.Unchecked[0])
	default:
		return strings.Join(append([]string{fmt.Sprintf("unaccounted 0, %s ago", age.Round(time.Second))}, r.Remarks...), "; but "), nil
	}
}
