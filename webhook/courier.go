package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/feed"
	"tallyman/internal/service"
	"tallyman/internal/stream"
)

// retryWait is how long a courier waits where NATS is away.
const retryWait = time.Second

// courier delivers to one webhook.
type courier struct {
	o      *Options
	hook   *contract.Webhook
	feed   *feed.Feed
	orders <-chan contract.WebhookOrder
	asked  contract.WebhookOrder // the last that was taken, until the record says that it was followed
	client *http.Client
	places chan struct{} // one for each request
	filter feed.Filter
	log    *slog.Logger
	fault  service.Fault
}

func newCourier(o *Options, hook *contract.Webhook, events *feed.Feed, orders <-chan contract.WebhookOrder) *courier {
	allow := make([]netip.Prefix, len(hook.Allow))
	for i, p := range hook.Allow {
		allow[i] = netip.MustParsePrefix(p) // validate has parsed it
	}
	return &courier{
		o: o, hook: hook, feed: events, orders: orders, places: make(chan struct{}, atOnce),
		client: newClient(allow, time.Duration(hook.Timeout), atOnce),
		filter: feed.Filter{Queues: hook.Queues, Types: hook.Types, Kinds: hook.Events},
		log:    o.Log.With("webhook", hook.Name),
	}
}

// run delivers until ctx ends. What goes wrong with NATS mends itself, and what was noted is where it goes on.
func (c *courier) run(ctx context.Context) error {
	defer c.client.CloseIdleConnections()
	for {
		err := c.term(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.fault.Changed(err) {
			c.log.Warn("delivery begins again from what was noted", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryWait):
		}
	}
}

// term delivers from the record on, until something is other than was thought.
func (c *courier) term(ctx context.Context) error {
	r, found, err := load(ctx, c.o.Records, c.hook.Name)
	if err != nil {
		return err
	}
	reader, err := c.reader(ctx, &r, found)
	if err != nil {
		return err
	}
	defer func() { reader.Close() }()
	for {
		if c.unfollowed(&r) {
			other, _, err := c.feed.Reader(ctx, c.asked.From-1)
			if err != nil {
				return err
			}
			reader.Close()
			reader = other
			r.begin(reader.At())
			r.Order, found = c.asked.ID, false
			c.log.Info("goes on from another place", "from", c.asked.From, "by", c.asked.By)
		}
		t := &trip{
			courier: c, record: &r, reader: reader, window: newWindow(&r.WebhookState, bytesOf(len(c.o.Hooks))), dirty: !found,
			results: make(chan result), ahead: make(map[string]chan struct{}),
		}
		r.Failing = nil // what is still refused says so again
		if err := t.run(ctx); err != nil {
			return err
		}
	}
}

// unfollowed tells whether an order was taken that the record does not know: it was answered with a 202, and what was
// begun for it may have ended before that was noted. One that is noted is let go of, for others may follow newer ones.
func (c *courier) unfollowed(r *record) bool {
	if c.asked.ID == r.Order {
		c.asked = contract.WebhookOrder{}
	}
	return c.asked.ID != ""
}

// reader begins behind what was noted; with a stream that was made since, at its first event; and where nothing
// was noted, at what happens next.
func (c *courier) reader(ctx context.Context, r *record, found bool) (*feed.Reader, error) {
	last, reached := c.feed.Now()
	created := contract.At(c.feed.Created())
	switch {
	case !reached:
		return nil, stream.ErrUnavailable
	case !found:
		r.Stream = created
		r.begin(last)
	case !r.Stream.Equal(created.Time):
		c.log.Warn("the stream of events was made anew; delivery begins at its first", "was", r.Seq)
		r.Stream = created
		r.begin(0)
		if c.asked.ID != "" { // its sequence was of that stream, and all of this one comes
			r.Order = c.asked.ID
		}
	}
	_, known, err := c.feed.Reader(ctx, r.Reached)
	if err != nil {
		return nil, err
	}
	if !known { // other events will have those sequences
		c.log.Warn("the stream of events has lost its end; what was delivered behind what was noted comes again", "was", r.Reached)
		r.begin(r.Seq)
	}
	reader, known, err := c.feed.Reader(ctx, r.Seq)
	if err == nil && !known {
		c.log.Warn("the stream of events is older than what was noted; delivery goes on with what happens next", "was", r.Seq)
		r.begin(reader.At())
	}
	return reader, err
}

// trip is delivery from one place on.
type trip struct {
	*courier
	record  *record
	reader  *feed.Reader
	window  window
	rest    []*stream.Stored // read, and not yet handed out
	dirty   bool             // there is something to be noted
	results chan result
	ahead   map[string]chan struct{} // of each job: closed when its last event is on its way no more
	work    sync.WaitGroup
}

// run ends without an error where it was asked to go on from another place.
func (t *trip) run(ctx context.Context) error {
	sending, stop := context.WithCancel(ctx)
	defer t.work.Wait()
	defer stop()
	defer func() { // a leader that ends in peace leaves nothing to be delivered twice
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if ctx.Err() != nil {
			_ = t.note(last) // or it is: at least once
		}
	}()
	tick := time.NewTicker(t.o.NoteEvery)
	defer tick.Stop()
	for {
		more, err := t.handOut(sending)
		if err != nil {
			return err
		}
		select {
		case <-more:
		case r := <-t.results:
			t.take(r)
		case <-tick.C:
			if err := t.note(ctx); errors.Is(err, errReload) {
				return err
			}
		case order := <-t.orders:
			if order.ID != t.record.Order {
				t.asked = order
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handOut sends what there is room for, and gives what is closed when there is more: nil where only a result
// makes room.
func (t *trip) handOut(ctx context.Context) (more <-chan struct{}, err error) {
	for t.window.room() {
		if len(t.rest) == 0 {
			if at := t.window.passed(); at > t.reader.At() { // there may be days of it behind one that is refused
				t.reader.Pass(at)
				t.window.pass(at)
			}
			batch, err := t.reader.Next(ctx)
			if errors.Is(err, feed.ErrAnew) {
				return nil, err
			}
			if err != nil {
				return later(), nil
			}
			t.record.Missing += batch.Missing
			t.dirty = t.dirty || batch.Missing > 0
			if t.rest = batch.Events; len(t.rest) == 0 {
				t.window.pass(t.reader.At())
				return batch.More, nil
			}
		}
		st := t.rest[0]
		t.rest = t.rest[1:]
		if st.Seq <= t.window.passed() || !t.filter.Wants(st) {
			t.window.pass(st.Seq)
			continue
		}
		t.send(ctx, st, t.window.add(st.Seq, len(st.Raw)))
	}
	return nil, nil
}

// later is closed after a moment.
func later() <-chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(retryWait, func() { close(done) })
	return done
}

// send delivers an event once the one before it of the same job is on its way no more. There are as many of
// these as the window has room for.
func (t *trip) send(ctx context.Context, st *stream.Stored, since time.Time) {
	about := st.Event.JobID
	if about == "" {
		about = st.Event.Unit
	}
	before, done := t.ahead[about], make(chan struct{})
	t.ahead[about] = done
	t.work.Go(func() {
		defer close(done)
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() == nil {
			t.deliver(ctx, st, since, t.results)
		}
	})
}

// take notes what became of an event.
func (t *trip) take(r result) {
	s := &t.record.WebhookState
	t.dirty = true
	switch {
	case r.over && r.refusal == nil:
		s.Delivered++
		s.LastAt = contract.At(t.o.Now())
	case r.over:
		s.SetAside++
		s.Aside = append(s.Aside, r.seq)
		s.Aside = s.Aside[max(0, len(s.Aside)-contract.MaxAside):]
		t.log.Error("an event was refused for too long, and is set aside", "seq", r.seq, "tries", r.refusal.Tries, "reason", r.refusal.Detail)
	case s.Failing == nil || r.seq <= s.Failing.Seq:
		if s.Failing == nil {
			t.log.Warn("an event is refused; it is tried again", "seq", r.seq, "reason", r.refusal.Detail)
		}
		s.Failing = r.refusal
	}
	if !r.over {
		t.window.refused(r.seq, r.refusal.Since.Time)
		return
	}
	if s.Failing != nil && s.Failing.Seq == r.seq {
		s.Failing = nil
	}
	t.window.done(r.seq)
	t.forget()
}

// forget lets go of jobs that have nothing on its way.
func (t *trip) forget() {
	if len(t.ahead) < 2*maxOnTheWay {
		return
	}
	for about, done := range t.ahead {
		select {
		case <-done:
			delete(t.ahead, about)
		default:
		}
	}
}

// note writes how far the webhook has come, where that has changed.
func (t *trip) note(ctx context.Context) error {
	if !t.dirty && t.window.mark == t.record.Seq {
		return nil
	}
	was := t.record.WebhookState
	t.window.note(&t.record.WebhookState)
	t.record.Aside = slices.Clone(t.record.Aside)
	if err := t.record.save(ctx, t.o.Records, t.hook.Name); err != nil {
		t.record.WebhookState = was
		if !errors.Is(err, errReload) && t.fault.Changed(err) {
			t.log.Warn("how far it has come cannot be noted; it is tried again", "error", err)
		}
		return err
	}
	t.dirty = false
	t.unfollowed(t.record) // no more
	t.fault.Changed(nil)
	return nil
}
