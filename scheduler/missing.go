package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/queue"
)

// missing knows which queues are not there. A queue that nobody made, or a wrong URL, takes no task: jobs are
// accepted all the same and would wait for it in silence. An SQS that is away is no such fault: it comes back
// without anybody's help.
type missing struct {
	counter Counter
	queues  []contract.Queue

	mu     sync.Mutex
	looked bool
	fault  error
}

var errNotLooked = errors.New("SQS was not asked for its queues yet")

func newMissing(o *Options) *missing { return &missing{counter: o.Counter, queues: o.Config.Queues} }

// round asks for every queue and dead-letter queue; its error names each that is not there.
func (m *missing) round(ctx context.Context) error {
	faults := make([]error, len(m.queues))
	var g errgroup.Group
	g.SetLimit(sweepAtOnce)
	for i := range m.queues {
		g.Go(func() error {
			q := &m.queues[i]
			faults[i] = errors.Join(m.look(ctx, q.Name, "url", q.URL), m.look(ctx, q.Name, "deadLetter", q.DeadLetter))
			return nil // one queue's trouble is not another's
		})
	}
	_ = g.Wait() // every error is in faults
	fault := errors.Join(faults...)
	if ctx.Err() != nil {
		return ctx.Err() // nothing was learned
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked, m.fault = true, fault
	return fault
}

func (m *missing) look(ctx context.Context, name, field, url string) error {
	if url == "" {
		return nil
	}
	if _, err := m.counter.Counts(ctx, url); errors.Is(err, queue.ErrNoQueue) {
		return fmt.Errorf("queue %s: there is no queue at its %s, %s: make it, or mend the configuration: %w", name, field, url, queue.ErrNoQueue)
	}
	return nil
}

// ready is the last round's answer.
func (m *missing) ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.looked {
		return errNotLooked
	}
	return m.fault
}
