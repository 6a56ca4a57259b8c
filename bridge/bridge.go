package bridge

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Bridge turns what Kubernetes does to units into facts.
type Bridge struct {
	o        Options
	books    *books
	schedule *schedule
}

// New makes a bridge, or names every bad field.
func New(o Options) (*Bridge, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Bridge{o: o, books: newBooks(), schedule: newSchedule(o.Clock)}, nil
}

// Run works until parent ends, and then returns nil. Any number of bridges may run beside one another: each
// says the same facts under the same ids.
func (b *Bridge) Run(parent context.Context) error {
	g, ctx := errgroup.WithContext(parent)
	g.Go(func() error { return b.o.Kubernetes.Watch(ctx, b.notified) })
	g.Go(func() error { return b.followClaims(ctx) })
	g.Go(func() error { return b.sweepForEver(ctx) })
	g.Go(func() error { return b.watchForGaps(ctx) })
	for range b.o.Workers {
		g.Go(func() error { return b.work(ctx) })
	}
	err := g.Wait()
	if parent.Err() != nil {
		return nil
	}
	return err
}

func (b *Bridge) notified(namespace, name, uid string) {
	if !b.o.mine(b.o.Cluster, namespace) {
		return
	}
	b.books.notice(uid, place{namespace: namespace, name: name})
	b.schedule.add(uid, 0)
}

func (b *Bridge) sweepForEver(ctx context.Context) error {
	tick := b.o.Clock.NewTicker(b.o.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.Chan():
			b.sweep()
		}
	}
}
