package program

import (
	"context"
	"errors"
	"sync"
	"time"

	"tallyman/internal/stream"
)

// Bounds of the pause between two tries to come up.
const (
	firstPause = 250 * time.Millisecond
	maxPause   = 5 * time.Second
)

// wait is why a program cannot begin yet; /readyz shows it.
type wait struct {
	mu     sync.Mutex
	reason error
}

func (w *wait) ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reason == nil {
		return errors.New("not asked yet")
	}
	return w.reason
}

// because keeps the reason, and tells whether it is another than before.
func (w *wait) because(reason error) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news = w.reason == nil || w.reason.Error() != reason.Error()
	w.reason = reason
	return news
}

// join connects, looks at every stream and bucket, and lets build add its parts. Whatever NATS has to do
// with is tried again until ctx ends: a server that is away, credentials that are wrong, a setting that
// somebody has to mend. So it comes good by itself, where dying would let Kubernetes wait longer each time.
func (p *Program) join(ctx context.Context, build func(context.Context, *Program) error) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		again, err := p.try(ctx, build)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !again:
			return err
		case p.wait.because(err):
			p.Log.Warn("cannot begin yet, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// try gives whether it may be tried again. What is wrong with the program's own settings may not.
func (p *Program) try(ctx context.Context, build func(context.Context, *Program) error) (again bool, err error) {
	p.Stream, err = stream.Connect(ctx, stream.Options{
		URL: p.natsURL, Credentials: p.creds, Inbox: p.inbox, Name: p.name, Log: p.Log,
	})
	if err != nil {
		return true, err
	}
	defer func() {
		if err != nil {
			p.Stream.Close()
		}
	}()
	if err := p.Stream.Ensure(ctx, p.settings()); err != nil {
		return true, err
	}
	p.parts = nil
	p.Add("nats", func(ctx context.Context) error { <-ctx.Done(); return nil }, p.Stream.Ready)
	if err := build(ctx, p); err != nil {
		return errors.Is(err, stream.ErrUnavailable) || errors.Is(err, stream.ErrNotFound), err
	}
	return false, nil
}

func (p *Program) settings() stream.Settings {
	set := stream.DefaultSettings()
	set.Replicas, set.Look = p.replicas, !p.make
	for _, q := range p.Config.Queues {
		set.LongestRetention = max(set.LongestRetention, time.Duration(q.Retention))
	}
	return set
}
