package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
)

// idleness knows since when each queue has been empty.
type idleness struct {
	counter Counter
	config  *contract.Config
	clock   clockwork.Clock
	queues  map[string]*idle
}

type idle struct {
	looked time.Time
	since  time.Time // zero: it holds messages, or nobody knows
}

const (
	lookEvery = 15 * time.Second
	// lookAfter spares a busy queue the asking: what was queued a moment ago is rarely lost.
	lookAfter = 30 * time.Second
)

// look asks SQS for the counters of every queue that has runs waiting for some time. A queue whose
// counters cannot be read is taken for one that holds messages.
func (d *idleness) look(ctx context.Context, queued []contract.AttentionItem) error {
	now := d.clock.Now()
	waiting := make(map[string]bool)
	for i := range queued {
		if now.Sub(queued[i].Since.Time) >= lookAfter {
			waiting[queued[i].Queue] = true
		}
	}
	for name := range d.queues {
		if !waiting[name] {
			delete(d.queues, name)
		}
	}
	var first error
	for name := range waiting {
		if err := d.lookAt(ctx, name, now); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (d *idleness) lookAt(ctx context.Context, name string, now time.Time) error {
	q := d.config.Queue(name)
	if q == nil {
		return nil
	}
	s := d.queues[name]
	if s == nil {
		s = &idle{}
		d.queues[name] = s
	}
	if !s.looked.IsZero() && now.Sub(s.looked) < lookEvery {
		return nil
	}
	s.looked = now
	c, err := d.counter.Counts(ctx, q.URL)
	switch {
	case err != nil:
		s.since = time.Time{}
		return fmt.Errorf("count queue %s: %w", name, err)
	case !c.Empty():
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = now
	}
	return nil
}

// lasted tells whether a queue has been empty for so long.
func (d *idleness) lasted(name string, want time.Duration) bool {
	s := d.queues[name]
	return s != nil && !s.since.IsZero() && d.clock.Now().Sub(s.since) >= want
}
