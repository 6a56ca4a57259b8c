package program

import (
	"context"
	"errors"
	"sync"
	"time"

	"tallyman/internal/service"
	"tallyman/internal/stream"
)

// How often streams and buckets are looked at after the start, and how often while one is not as it must be.
const (
	lookEvery = 30 * time.Second
	lookAgain = 5 * time.Second
)

// upkeep holds streams and buckets to what a start asked of them: a setting that somebody changes meanwhile may cost a
// run, and would be named at the next start only, weeks later.
type upkeep struct {
	p     *Program
	named service.Fault

	mu    sync.Mutex
	fault error
}

// part tells in one line what is wrong, once in the log, and to whoever asks until it is mended.
func (u *upkeep) part() service.Part {
	return service.Part{Name: "streams", Run: u.run, Ready: func(context.Context) error {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.fault
	}}
}

func (u *upkeep) run(ctx context.Context) error {
	for wait := u.p.lookEvery; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = u.p.lookEvery
		if u.look(ctx) != nil {
			wait = min(wait, lookAgain)
		}
	}
}

// look leaves what was seen before as it is while NATS cannot be asked: that is another part's to name.
func (u *upkeep) look(ctx context.Context) error {
	var faults []error
	for _, e := range u.p.Stream.Examine(ctx, u.p.settings()) {
		if errors.Is(e.Fault, stream.ErrUnavailable) || ctx.Err() != nil {
			return u.fault
		}
		faults = append(faults, e.Fault)
	}
	fault := errors.Join(faults...)
	switch {
	case !u.named.Changed(fault):
	case fault != nil:
		u.p.Log.Error("not ready any more; it is looked at again", "error", fault)
	default:
		u.p.Log.Info("NATS is as it must be")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fault = fault
	return fault
}
