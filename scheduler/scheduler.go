package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Scheduler fires schedules, sends tasks again, gives failed jobs further runs, and ends runs that nobody can take.
type Scheduler struct {
	o       Options
	missing *missing
	loading atomic.Bool // it leads, and has not read every schedule yet
}

// New checks o and makes a Scheduler.
func New(o Options) (*Scheduler, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Scheduler{o: o, missing: newMissing(&o)}, nil
}

// Run campaigns for the lease and works whenever it leads, until ctx ends. Leading or not, it looks whether the
// queues are there.
func (s *Scheduler) Run(ctx context.Context) error {
	g, within := errgroup.WithContext(ctx)
	g.Go(func() error { return s.o.Lease.Run(within, s.lead) })
	g.Go(func() error {
		return every(within, s.o.Clock, s.o.Log, "look for the queues", lookEvery, s.missing.round)
	})
	err := g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Ready tells whether NATS answers, whether every queue is there, and, of a leader, whether it has read its schedules.
func (s *Scheduler) Ready(ctx context.Context) error {
	if _, err := s.o.Ledger.Get(ctx, contract.KeyAttention); err != nil && !errors.Is(err, stream.ErrNotFound) {
		return err
	}
	if s.loading.Load() {
		return errors.New("the schedules are still being read")
	}
	return s.missing.ready()
}

// lead works until ctx ends. Nothing is carried over from an earlier term: whatever is still to be done
// shows in the records.
func (s *Scheduler) lead(ctx context.Context) error {
	s.loading.Store(true)
	defer s.loading.Store(false)
	alarms, err := startAlarms(s.o.Clock)
	if err != nil {
		return err
	}
	t := newTable(&s.o, alarms)
	g, ctx := errgroup.WithContext(ctx)
	loaded := make(chan struct{})
	g.Go(func() error {
		return t.watch(ctx, func() error {
			s.loading.Store(false)
			close(loaded)
			return nil
		})
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-loaded:
			return every(ctx, s.o.Clock, s.o.Log, "catch up with schedules", s.o.CatchUpEvery, t.catchUp)
		}
	})
	r := newRelay(&s.o)
	g.Go(func() error { return every(ctx, s.o.Clock, s.o.Log, "relay", s.o.RelayEvery, r.round) })
	again := newRerun(&s.o)
	g.Go(func() error { return every(ctx, s.o.Clock, s.o.Log, "rerun", s.o.RelayEvery, again.round) })
	w := newSweep(&s.o)
	g.Go(func() error {
		return every(ctx, s.o.Clock, s.o.Log, "sweep the dead-letter queues", s.o.SweepEvery, w.round)
	})
	if s.o.Auditor != nil {
		g.Go(func() error { return s.audit(ctx) })
	}
	err = g.Wait()
	if stopErr := alarms.stop(); stopErr != nil {
		s.o.Log.Warn("a firing did not end in time", "error", stopErr)
	}
	return err
}

// every does one round after another until ctx ends. What fails is tried again in the next round, so it
// is logged when it begins to fail and when it works again, not each time.
func every(ctx context.Context, clock clockwork.Clock, log *slog.Logger, name string, wait time.Duration, round func(context.Context) error) error {
	failing := false
	for {
		err := round(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !failing:
			log.Warn(name+": will be tried again", "error", err)
		case err == nil && failing:
			log.Info(name + ": works again")
		}
		failing = err != nil
		timer := clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.Chan():
		}
	}
}
