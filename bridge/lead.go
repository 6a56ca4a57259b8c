package bridge

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Leader makes one bridge the leader of all that run beside one another. It saves work and guards nothing:
// two leaders say the same facts under the same ids. kube.Lease fills it.
type Leader interface {
	// Run campaigns until ctx ends, and returns ctx's error then. While it leads it runs lead, whose ctx
	// ends with the term; an error of lead's other than its context's ends Run.
	Run(ctx context.Context, lead func(context.Context) error) error
}

// alone leads from the first moment to the last.
type alone struct{}

func (alone) Run(ctx context.Context, lead func(context.Context) error) error { return lead(ctx) }

// lead is a term. Whatever the last leader left undone is found by looking at every unit once: a standby
// has watched all along, so nothing has to be listed first.
func (b *Bridge) lead(ctx context.Context) error {
	b.leading.Store(true)
	defer b.leading.Store(false)
	b.o.Log.Info("leads", "units", len(b.books.known()))
	for _, uid := range b.books.known() {
		b.schedule.add(uid, 0)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.sweepForEver(ctx) })
	g.Go(func() error { return b.watchForGaps(ctx) })
	if b.o.Inventory != nil {
		g.Go(func() error { return b.tellForEver(ctx) })
	}
	if b.mirror != nil {
		g.Go(func() error { return b.mirror.pass(ctx) })
	}
	if b.o.Scalers != nil {
		g.Go(func() error { return b.lookForEver(ctx) })
	}
	return g.Wait()
}

// standBy is what a standby does with a unit: it forgets what is no more, so that its books stay as small
// as the leader's.
func (b *Bridge) standBy(ctx context.Context, uid string) error {
	p, ok := b.books.place(uid)
	if !ok {
		return nil
	}
	job, pods, err := b.o.Kubernetes.Unit(ctx, p.namespace, p.name, uid, false)
	if err == nil && job == nil && len(pods) == 0 {
		b.books.forget(uid)
	}
	return err
}

// visit looks at a unit as a leader or as a standby.
func (b *Bridge) visit(ctx context.Context, uid string) (time.Duration, error) {
	if !b.leading.Load() {
		return 0, b.standBy(ctx, uid)
	}
	if err := b.identity.sure(ctx, sureFor, false); err != nil {
		return 0, fmt.Errorf("%w: %w", errDoubt, err)
	}
	return b.settle(ctx, uid)
}
