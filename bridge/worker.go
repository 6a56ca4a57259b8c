package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// maxRounds bounds how often one visit may find the world changed under its feet; the next visit goes on.
const maxRounds = 16

// work settles one unit after another until ctx ends.
func (b *Bridge) work(ctx context.Context) error {
	for {
		uid, ok := b.schedule.next(ctx)
		if !ok {
			return nil
		}
		again, err := b.visit(ctx, uid)
		switch {
		case err != nil && ctx.Err() == nil:
			b.complain(uid, err)
		case err == nil && b.leading.Load() && b.away.Changed(nil):
			b.o.Log.Info("NATS answers again")
		}
		b.schedule.done(uid, again, err != nil)
	}
}

// complain logs what will be tried again. Where a server is away, or another cluster is there, every unit
// waits for the same thing, which is named once; anything else is a unit's own trouble.
func (b *Bridge) complain(uid string, err error) {
	level, text := slog.LevelWarn, "a unit could not be settled; it is tried again"
	switch {
	case errors.Is(err, ErrAway), errors.Is(err, errDoubt): // named by who watches, and by who is in doubt
		level, text = slog.LevelDebug, "a unit waits for Kubernetes"
	case errors.Is(err, stream.ErrUnavailable):
		level, text = slog.LevelDebug, "a unit waits for NATS"
		if b.away.Changed(stream.ErrUnavailable) {
			level, text = slog.LevelWarn, "units wait for NATS"
		}
	}
	b.o.Log.Log(context.Background(), level, text, "unit", uid, "error", err)
}

// settle judges a unit and does what the verdict asks, again and again until it asks for nothing. Before a
// claim is closed everything is read once more past the cache, for a closed claim cannot be opened again.
func (b *Bridge) settle(ctx context.Context, uid string) (time.Duration, error) {
	fresh := false
	for range maxRounds {
		v, revision, err := b.view(ctx, uid, fresh)
		if err != nil || v == nil {
			return 0, err
		}
		verdict := Judge(*v)
		switch {
		case verdict.Look || verdict.Close != nil && !fresh:
			fresh = true
			continue
		case verdict.Close != nil:
			if err := b.record(ctx, v.Queue, verdict.Close, revision); err != nil {
				return 0, err
			}
			continue
		}
		if err := b.say(ctx, uid, verdict.Say); err != nil {
			return 0, err
		}
		if verdict.Then == nil {
			b.settled(v)
			return verdict.Later, nil
		}
		if err := b.record(ctx, v.Queue, verdict.Then, revision); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("unit %s changed %d times while it was looked at", uid, maxRounds)
}

// view reads all that is known of a unit: the objects, then the claim, then, where the claim does not say
// it, whom the run record names. Each is read after what it is judged by, so a stale part can only delay.
func (b *Bridge) view(ctx context.Context, uid string, fresh bool) (*View, uint64, error) {
	p, ok := b.books.place(uid)
	if !ok {
		return nil, 0, nil
	}
	job, pods, err := b.o.Kubernetes.Unit(ctx, p.namespace, p.name, uid, fresh)
	if err != nil {
		return nil, 0, fmt.Errorf("read unit %s/%s: %w", p.namespace, p.name, err)
	}
	gone := fresh && job == nil
	if gone { // as it would be in every other cluster
		if err := b.identity.sure(ctx, sureOfGoneFor, true); err != nil {
			return nil, 0, fmt.Errorf("%w: %w", errDoubt, err)
		}
	}
	v := &View{
		Now: b.o.Clock.Now(), Cluster: b.o.Cluster, Namespace: p.namespace, Name: p.name, UID: uid, Queue: p.queue,
		Job: job, Gone: gone, Pods: pods, Again: b.books.repeating(uid),
	}
	if job != nil {
		if q := job.Annotations[contract.AnnotationQueue]; contract.ValidToken(q) {
			v.Queue = q
		}
	}
	if v.Queue == "" { // neither a unit of ours nor one with a claim
		b.books.forget(uid)
		return nil, 0, nil
	}
	revision, err := b.viewClaim(ctx, v)
	return v, revision, err
}

func (b *Bridge) viewClaim(ctx context.Context, v *View) (uint64, error) {
	e, err := b.o.Claims.Get(ctx, contract.UnitKey(v.Queue, v.UID))
	if errors.Is(err, stream.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	u, err := contract.DecodeUnit(e.Value)
	if err != nil {
		return 0, fmt.Errorf("decode %s: %w", e.Key, err)
	}
	v.Claim = &u
	if len(u.Attempts) > 0 {
		return e.Revision, nil
	}
	r, err := b.o.Claims.Get(ctx, contract.RunKey(v.Queue, u.JobID, u.Run))
	if errors.Is(err, stream.ErrNotFound) {
		return e.Revision, nil
	}
	if err != nil {
		return 0, err
	}
	run, err := contract.DecodeRun(r.Value)
	if err != nil {
		return 0, fmt.Errorf("decode %s: %w", r.Key, err)
	}
	v.Run = &run
	return e.Revision, nil
}

// record writes a claim at the revision that was judged. Losing the race is no error: the next round sees
// who won.
func (b *Bridge) record(ctx context.Context, queue string, u *contract.UnitRecord, revision uint64) error {
	value, err := u.Encode()
	if err != nil {
		return fmt.Errorf("encode the record of unit %s: %w", u.Unit, err)
	}
	_, err = b.o.Claims.Update(ctx, contract.UnitKey(queue, u.Unit), value, revision)
	if errors.Is(err, stream.ErrConflict) {
		return nil
	}
	if err == nil {
		b.books.keep(queue, u)
	}
	return err
}

// say publishes what the stream has not acknowledged to us before.
func (b *Bridge) say(ctx context.Context, uid string, facts []contract.Event) error {
	for i := range facts {
		id := facts[i].ID()
		if b.books.has(uid, id) {
			continue
		}
		if _, err := b.o.Events.Publish(ctx, facts[i]); err != nil {
			return fmt.Errorf("say %s: %w", id, err)
		}
		b.books.acknowledge(uid, id)
	}
	return nil
}

// settled ends a visit that left nothing to say.
func (b *Bridge) settled(v *View) {
	if v.Again {
		b.books.repeated(v.UID)
	}
	if v.Job == nil {
		b.books.forget(v.UID)
	}
}
