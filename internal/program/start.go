package program

import (
	"context"
	"errors"
	"sync"
	"time"

	"tallyman/internal/service"
	"tallyman/internal/stream"
)

// Back-off of a start that NATS did not let through.
const (
	firstStartWait = time.Second
	maxStartWait   = 10 * time.Second
)

// start is what a program waits for before it has parts.
type start struct {
	named service.Fault

	mu    sync.Mutex
	fault error
}

var errStarting = errors.New("NATS was not asked yet")

func (s *start) ready(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		return errStarting
	}
	return s.fault
}

func (s *start) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

// reach waits until NATS lets us in and every stream and bucket is as it must be. A wrong address, wrong
// credentials, a missing right, a wrong setting: a person mends them elsewhere, and need not come back here.
func (p *Program) reach(ctx context.Context) error {
	for wait := firstStartWait; ; wait = min(2*wait, maxStartWait) {
		err := p.tryReach(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if p.start.named.Changed(nil) {
				p.Log.Info("NATS is as it must be")
			}
			return nil
		}
		p.start.failed(err)
		if p.start.named.Changed(err) {
			p.Log.Error("not ready; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// tryReach dials once: from then on the connection mends itself.
func (p *Program) tryReach(ctx context.Context) error {
	if p.Stream == nil {
		s, err := stream.Connect(ctx, stream.Options{URL: p.natsURL, Credentials: p.creds, Inbox: p.inbox, Name: p.name, Log: p.Log})
		if err != nil {
			return err
		}
		p.Stream = s
	}
	return p.Stream.Ensure(ctx, p.settings())
}

// settings are how streams and buckets must be.
func (p *Program) settings() stream.Settings {
	set := stream.DefaultSettings()
	set.Replicas, set.Look = p.replicas, !p.make
	for _, q := range p.Config.Queues {
		set.LongestRetention = max(set.LongestRetention, time.Duration(q.Retention))
	}
	return set
}
