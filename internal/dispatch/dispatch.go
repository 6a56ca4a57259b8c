package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// Events says facts on the stream; *stream.Stream is one.
type Events interface {
	// Publish returns once the event is stored. stream.ErrUnavailable: it may or may not be; say it again.
	Publish(ctx context.Context, e contract.Event) (seq uint64, err error)
	// PublishOnce tells beside it whether an event of this id was stored before, which is then the one at seq.
	PublishOnce(ctx context.Context, e contract.Event) (seq uint64, had bool, err error)
	// Event gives stream.ErrNotFound for a sequence that is not stored, or no more, and stream.ErrBehind where the
	// server that was asked has it not yet.
	Event(ctx context.Context, seq uint64) (stream.Stored, error)
}

// Sender puts messages on SQS; *queue.Client is one.
type Sender interface {
	// Send returns once SQS has the message, or with an error where that is not known.
	Send(ctx context.Context, url string, m queue.Message) error
}

// Claims is the bucket "claims"; *stream.Bucket is one.
type Claims interface {
	// Get gives stream.ErrNotFound where the key is absent.
	Get(ctx context.Context, key string) (stream.Entry, error)
	// Create gives stream.ErrConflict where the key is there.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update gives stream.ErrConflict where the revision is another.
	Update(ctx context.Context, key string, value []byte, revision uint64) (newRevision uint64, err error)
}

// DefaultSendTimeout is how long a submission waits for SQS before it is left to the relay.
const DefaultSendTimeout = 3 * time.Second

// Options of a Dispatcher.
type Options struct {
	Source      contract.Source // in whose name events are said: api or scheduler
	Config      contract.Config // queues with their URLs
	Events      Events
	Sender      Sender
	Claims      Claims
	SendTimeout time.Duration    // 0: DefaultSendTimeout
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger     // nil: slog.Default
}

func (o *Options) validate() error {
	var faults []error
	need := func(ok bool, field, what string) {
		if !ok {
			faults = append(faults, contract.Errorf(contract.CodeMissingField, field, "%s", what))
		}
	}
	need(o.Source == contract.SourceAPI || o.Source == contract.SourceScheduler, "Source", "must be api or scheduler")
	need(o.Events != nil, "Events", "is required")
	need(o.Sender != nil, "Sender", "is required")
	need(o.Claims != nil, "Claims", "is required")
	for _, q := range o.Config.Queues {
		need(q.URL != "", "Config", "queue "+q.Name+" has no url")
	}
	return errors.Join(faults...)
}

// Dispatcher makes runs and ends them. It keeps nothing between calls, so any number may work at once.
type Dispatcher struct {
	source      contract.Source
	events      Events
	sender      Sender
	claims      Claims
	urls        map[string]string // by queue
	sendTimeout time.Duration
	now         func() time.Time
	log         *slog.Logger
}

// New checks o and makes a Dispatcher.
func New(o Options) (*Dispatcher, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Dispatcher{
		source: o.Source, events: o.Events, sender: o.Sender, claims: o.Claims,
		urls: make(map[string]string), sendTimeout: o.SendTimeout, now: o.Now, log: o.Log,
	}
	for _, q := range o.Config.Queues {
		d.urls[q.Name] = q.URL
	}
	if d.sendTimeout <= 0 {
		d.sendTimeout = DefaultSendTimeout
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	return d, nil
}

// say publishes a fact of a whole run.
func (d *Dispatcher) say(ctx context.Context, kind contract.Kind, t *contract.Task, at contract.Time, body []byte) error {
	_, err := d.events.Publish(ctx, d.fact(kind, t, at, body))
	return err
}

func (d *Dispatcher) fact(kind contract.Kind, t *contract.Task, at contract.Time, body []byte) contract.Event {
	e := contract.Event{
		Kind: kind, Source: d.source, Time: at, Queue: t.Queue, Type: t.Type, JobID: t.JobID, Run: t.Run,
		SubmittedAt: t.SubmittedAt, Task: body,
	}
	if kind == contract.CancelledKind {
		e.Reason = contract.Cancelled
	}
	return e
}

func (d *Dispatcher) at() contract.Time { return contract.At(d.now()) }
