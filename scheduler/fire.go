package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// How long a schedule that could not be fired waits for its next try.
const (
	retryFirst = 5 * time.Second
	retryMost  = 5 * time.Minute
)

// ring is what an alarm does.
func (t *table) ring(ctx context.Context, timing timing) {
	t.mu.Lock()
	var ids []string
	if b := t.bells[timing]; b != nil {
		ids = slices.Collect(maps.Keys(b.ids))
	}
	t.mu.Unlock()
	if err := t.fireAll(ctx, ids); err != nil && ctx.Err() == nil {
		t.log.Warn("schedules were not fired and will be tried again", "error", err)
	}
}

// catchUp fires what is late: ticks from before this process led, those that failed, and those whose
// alarm rang early because the clock was set back.
func (t *table) catchUp(ctx context.Context) error {
	now := t.clock.Now()
	var ids []string
	t.mu.Lock()
	for id, r := range t.rows {
		if !r.firing && !r.due.After(now) && !r.retry.After(now) {
			ids = append(ids, id)
		}
	}
	t.mu.Unlock()
	return t.fireAll(ctx, ids)
}

// fireAll fires many schedules. It gives up where NATS is away; a schedule with a fault of its own is
// named, and does not keep the others.
func (t *table) fireAll(ctx context.Context, ids []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxFirings)
	for _, id := range ids {
		g.Go(func() error {
			err := t.fire(ctx, id)
			if _, own := errors.AsType[*contract.Error](err); own {
				t.log.Warn("a schedule cannot be fired", "scheduleId", id, "error", err)
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// fire makes the job of a schedule's newest tick that is not done with, if there is one. Of several that
// were missed only the newest is made up for: a schedule says what shall be done in time, and what was
// not is out of date by the next tick.
func (t *table) fire(ctx context.Context, id string) error {
	r := t.take(id)
	if r == nil {
		return nil
	}
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		t.giveBack(r, ctx.Err())
		return ctx.Err()
	}
	for {
		err := t.fireNewest(ctx, id)
		if again := t.giveBack(r, err); err != nil || !again {
			return err
		}
	}
}

// take marks a schedule as being fired; nil where it is gone or somebody else is at it.
func (t *table) take(id string) *row {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[id]
	switch {
	case r == nil:
		return nil
	case r.firing:
		r.again = true
		return nil
	}
	r.firing = true
	return r
}

// giveBack ends a firing. Where it went well and an alarm rang meanwhile, it does not end, but goes on
// with that one.
func (t *table) giveBack(r *row, err error) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	again = r.again && err == nil
	r.firing, r.again = again, false
	switch _, mend := errors.AsType[*contract.Error](err); {
	case err == nil:
		r.failures, r.retry = 0, time.Time{}
	case mend: // somebody has to change the schedule or the configuration
		r.retry = t.clock.Now().Add(min(retryFirst<<min(r.failures, 10), retryMost))
		r.failures++
	default:
		r.retry = t.clock.Now().Add(retryFirst)
	}
	return again
}

// fireNewest submits the job first and records the tick after: who is cut off in between fires the same
// job once more, which nobody notices; the other order would lose it.
func (t *table) fireNewest(ctx context.Context, id string) error {
	var done time.Time
	for range maxRaces {
		e, err := t.store.Get(ctx, id)
		if errors.Is(err, stream.ErrNotFound) {
			// The server is behind, and catchUp asks again; or the schedule was deleted, which the watch tells.
			return nil
		}
		if err != nil {
			return err
		}
		s, timing, err := t.read(e)
		if err != nil {
			return err
		}
		tick, ok := timing.last(fired(&s), t.clock.Now())
		if !ok {
			t.note(&s, timing)
			return nil
		}
		if !tick.Equal(done) {
			if err := t.submit(ctx, &s, tick); err != nil {
				return err
			}
			done = tick
		}
		err = t.record(ctx, s, timing, tick, e.Revision)
		if !errors.Is(err, stream.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("schedule %s: lost %d races: %w", id, maxRaces, stream.ErrUnavailable)
}

// maxRaces bounds the compare-and-set on a schedule, which hardly anybody writes.
const maxRaces = 8

// submit makes the job of a tick.
func (t *table) submit(ctx context.Context, s *contract.Schedule, tick time.Time) error {
	_, err := t.dispatch.Submit(ctx, contract.Task{
		JobID: contract.TickID(s.ID, tick), Run: 1, Type: s.Type, Queue: s.Queue, Payload: s.Payload,
		// Not the tick: a job that was made up for after a month must not be born older than the books.
		SubmittedAt: contract.At(t.clock.Now()),
		Submitter:   s.Submitter, Source: contract.FromSchedule, Schedule: s.ID, ScheduledFor: contract.At(tick),
		TimeoutSeconds: s.TimeoutSeconds, Tags: s.Tags,
	})
	if err != nil {
		return fmt.Errorf("schedule %s, tick %s: %w", s.ID, contract.At(tick), err)
	}
	return nil
}

// record says in the schedule's own record that a tick is done with.
func (t *table) record(ctx context.Context, s contract.Schedule, timing timing, tick time.Time, revision uint64) error {
	s.LastTick, s.LastJobID = contract.At(tick), contract.TickID(s.ID, tick)
	b, err := s.Encode()
	if err != nil {
		return fmt.Errorf("schedule %s: %w", s.ID, err)
	}
	if _, err := t.store.Update(ctx, s.ID, b, revision); err != nil {
		return err
	}
	t.note(&s, timing)
	return nil
}
