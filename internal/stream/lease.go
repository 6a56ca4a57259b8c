package stream

import (
	"context"
	"errors"
	"time"

	"tallyman/contract"
)

// standbyAsks is how often who does not lead asks to.
const standbyAsks = LeaseTTL / 3

// Takeover is within what time a leader that was killed has a successor: its lease ends, and a standby asks.
const Takeover = LeaseTTL + standbyAsks

// Lease makes one leader among all who ask for the same name. It only saves work: a leader that was
// paused may act a moment too long, so whatever a leader does must be safe when two do it.
type Lease struct {
	s            *Stream
	name, holder string
}

// Lease names a lease and who asks for it; holder must differ between processes.
func (s *Stream) Lease(name, holder string) *Lease { return &Lease{s: s, name: name, holder: holder} }

// Run campaigns until ctx ends. While it leads it runs lead, whose ctx ends when the lease is lost; when
// lead returns an error other than its context's, Run returns it.
func (l *Lease) Run(ctx context.Context, lead func(context.Context) error) error {
	for {
		if err := l.term(ctx, lead); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(standbyAsks):
		}
	}
}

// term tries once, and leads for as long as it can renew. A lease counts from before the request that
// got it, and is given up at 80 % of its life, so it ends here before it ends on the server.
func (l *Lease) term(ctx context.Context, lead func(context.Context) error) error {
	asked := time.Now()
	b, err := l.s.Bucket(ctx, contract.BucketLeases)
	if err != nil {
		return nil // NATS is away: nobody leads, try again
	}
	rev, err := b.Create(ctx, l.name, []byte(l.holder))
	if err != nil {
		return nil
	}
	term, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- lead(term) }()
	rev = l.renew(term, b, rev, asked, done)
	cancel()
	err = <-done
	release, cancelRelease := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancelRelease()
	_ = b.Delete(release, l.name, rev) // a successor need not wait; where this does not arrive, it waits
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// renew keeps the lease until term ends, lead ends, or the lease is lost.
func (l *Lease) renew(term context.Context, b *Bucket, rev uint64, asked time.Time, done chan error) uint64 {
	tick := time.NewTicker(LeaseTTL / 4)
	defer tick.Stop()
	for {
		select {
		case <-term.Done():
			return rev
		case err := <-done:
			done <- err
			return rev
		case now := <-tick.C:
			ctx, cancel := context.WithTimeout(term, LeaseTTL/4)
			next, err := b.Update(ctx, l.name, []byte(l.holder), rev)
			cancel()
			switch {
			case err == nil:
				rev, asked = next, now
			case errors.Is(err, ErrConflict), time.Since(asked) > LeaseTTL*8/10:
				return rev
			}
		}
	}
}
