package bridge

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"tallyman/internal/service"
)

// Bridge turns what Kubernetes does to units into facts.
type Bridge struct {
	o        Options
	books    *books
	schedule *schedule
	identity *identity
	mirror   *mirror // nil where nobody tells Kubernetes Events
	leading  atomic.Bool
	stirs    atomic.Bool   // a unit has changed since it was looked at for those who explain
	away     service.Fault // what units wait for
}

// New makes a bridge, or names every bad field.
func New(o Options) (*Bridge, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	b := &Bridge{o: o, books: newBooks(), schedule: newSchedule(o.Clock)}
	b.identity = &identity{o: &b.o}
	if o.KubernetesEvents != nil {
		b.mirror = newMirror(&b.o, b.Ready)
	}
	return b, nil
}

// Ready tells in one line why nothing is judged: this is not the cluster whose units are ours, or nobody can
// say so yet. A standby is ready too.
func (b *Bridge) Ready(ctx context.Context) error { return b.identity.sure(ctx, sureFor, false) }

// Run works until parent ends, and then returns nil. Any number of bridges may run beside one another: each
// says the same facts under the same ids. All of them watch; who leads judges and says.
func (b *Bridge) Run(parent context.Context) error {
	g, ctx := errgroup.WithContext(parent)
	g.Go(func() error { return b.o.Kubernetes.Watch(ctx, b.notified) })
	g.Go(func() error { return b.followClaims(ctx) })
	g.Go(func() error { return b.o.Leader.Run(ctx, b.lead) })
	if b.mirror != nil {
		g.Go(func() error { return b.o.KubernetesEvents.WatchEvents(ctx, b.mirror.tell) })
	}
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
	b.stirs.Store(true)
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
