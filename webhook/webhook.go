package webhook

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/feed"
	"tallyman/internal/stream"
)

// Webhooks delivers events to every webhook of a configuration.
type Webhooks struct{ o Options }

// New checks o and makes a Webhooks.
func New(o Options) (*Webhooks, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return &Webhooks{o: o}, nil
}

// Run campaigns for the lease and delivers whenever it leads, until ctx ends. Where no webhook is declared it
// only waits.
func (w *Webhooks) Run(ctx context.Context) error {
	if len(w.o.Hooks) == 0 {
		<-ctx.Done()
		return nil
	}
	err := w.o.Lease.Run(ctx, w.lead)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lead delivers until ctx ends. One feed serves all webhooks: those that are up to date read the log once.
func (w *Webhooks) lead(ctx context.Context) error {
	events := feed.New(w.o.Events, w.o.Log, feed.Options{})
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return events.Run(ctx) })
	orders := make(map[string]chan contract.WebhookOrder)
	for i := range w.o.Hooks {
		hook := &w.o.Hooks[i]
		orders[hook.Name] = make(chan contract.WebhookOrder, 1)
		c := newCourier(&w.o, hook, events, orders[hook.Name])
		work.Go(func() error { return c.run(ctx) })
	}
	work.Go(func() error { return w.listen(ctx, orders) })
	return work.Wait()
}

// listen hands orders to couriers. Of several that wait the last stands.
func (w *Webhooks) listen(ctx context.Context, orders map[string]chan contract.WebhookOrder) error {
	return w.o.Records.Watch(ctx, contract.WebhookOrderKey("*"), func(e stream.Entry) error {
		name, ok := contract.WebhookOfOrder(e.Key)
		if !ok || e.Deleted || orders[name] == nil {
			return nil
		}
		order, err := decodeOrder(e.Value)
		if err != nil {
			w.o.Log.Error("order cannot be read", "key", e.Key, "error", err)
			return nil
		}
		for {
			select {
			case orders[name] <- order:
				return nil
			default:
			}
			select {
			case <-orders[name]: // one that nobody has taken yet
			default:
			}
		}
	}, func() error { return nil })
}

// errReload: what is in memory is not what was noted. It is read again.
var errReload = errors.New("the record was written by somebody else")
