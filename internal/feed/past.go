package feed

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Limits of reading the past.
const (
	maxReads  = 4               // pages of the log read at a time, whoever wants them
	readLimit = 5 * time.Second // of one page, the wait for its turn and its share included
	beside    = 1 << 10         // what an event takes beside its bytes
	// maxShare is what a page may take before it has been read: all that it may have, and one event more.
	maxShare = stream.PageBytes + contract.MaxEventBytes + take*beside
)

// Defaults of Options.
const (
	DefaultPastBytes = 64 << 20
	defaultPatience  = 10 * time.Second
)

// Options of a Feed; what is zero has a default.
type Options struct {
	// PastBytes of the log are in memory at the most, for all together who read the past: 64 MiB by default, and
	// never less than one page may take. The ring is not among them.
	PastBytes int64
	// Patience is for how long a reader may keep what it was handed of the past while another waits for its share:
	// 10 s by default.
	Patience time.Duration
}

func (o *Options) setDefaults() {
	if o.PastBytes == 0 {
		o.PastBytes = DefaultPastBytes
	}
	o.PastBytes = max(o.PastBytes, maxShare)
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
}

// past reads the log for everybody. What somebody keeps of it is his share of one number of bytes, without which
// it is not read: however many read slowly, memory holds no more of it. Who reads has given back what he had
// before, and turns are taken before shares, so nobody who has a share waits for anything but his own reader.
type past struct {
	from    Log
	turns   chan struct{}
	free    *semaphore.Weighted
	waiting atomic.Int64 // who wait for a share
}

func newPast(from Log, bytes int64) *past {
	return &past{from: from, turns: make(chan struct{}, maxReads), free: semaphore.NewWeighted(bytes)}
}

// page reads events from a sequence on, and gives what they take of the share: whoever has them gives it back.
func (p *past) page(ctx context.Context, from uint64, limit int) (events []stream.Stored, share int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return nil, 0, tooMany(from)
	}
	if err := p.take(ctx, maxShare); err != nil {
		return nil, 0, tooMany(from)
	}
	events, err = p.from.Page(ctx, from, limit)
	for i := range events {
		share += int64(len(events[i].Raw)) + beside
	}
	share = min(share, maxShare) // of a stream that takes larger events than ours
	p.free.Release(maxShare - share)
	if err != nil {
		p.free.Release(share)
		return nil, 0, err
	}
	return events, share, nil
}

func tooMany(from uint64) error {
	return fmt.Errorf("read the log from %d on: %w: too many read it", from, stream.ErrUnavailable)
}

func (p *past) take(ctx context.Context, n int64) error {
	if p.free.TryAcquire(n) {
		return nil
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	return p.free.Acquire(ctx, n)
}

// told keeps of an event what tells whose it is. All of it is in Raw, and a task or a result would be kept twice;
// and being alone in memory, it keeps none of its page.
func told(st stream.Stored) *stream.Stored {
	e := &st.Event
	st.Event = contract.Event{
		Kind: e.Kind, Source: e.Source, Time: e.Time, Queue: e.Queue, Type: e.Type, JobID: e.JobID, Run: e.Run,
		Attempt: e.Attempt, SubmittedAt: e.SubmittedAt, Unit: e.Unit,
	}
	return &st
}
