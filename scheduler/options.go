package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// Lease makes one leader among all schedulers; *stream.Lease is one.
type Lease interface {
	// Run calls lead whenever this process leads, until ctx ends; lead's ctx ends when the lease is lost.
	Run(ctx context.Context, lead func(context.Context) error) error
}

// Schedules is the bucket "schedules"; *stream.Bucket is one.
type Schedules interface {
	// Get gives stream.ErrNotFound where the key is absent, or where the server that answers is behind.
	Get(ctx context.Context, key string) (stream.Entry, error)
	// Create gives stream.ErrConflict where the key is there.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update gives stream.ErrConflict where the revision is another.
	Update(ctx context.Context, key string, value []byte, revision uint64) (newRevision uint64, err error)
	// Put writes whatever was there.
	Put(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Watch hands over what is there, calls loaded once, then hands over every change, until ctx ends. That the bucket
	// was made anew, stream.ErrAnew, ends the program: its next life reads what is there now.
	Watch(ctx context.Context, filter string, fn func(stream.Entry) error, loaded func() error) error
}

// Ledger is the bucket "jobs", read; *stream.Bucket is one.
type Ledger interface {
	// Get gives stream.ErrNotFound where the key is absent.
	Get(ctx context.Context, key string) (stream.Entry, error)
}

// Events is the stream of events, read; *stream.Stream is one.
type Events interface {
	// Event gives stream.ErrNotFound for a sequence that is stored no more, and stream.ErrBehind where the server that
	// was asked has it not yet: it is asked again.
	Event(ctx context.Context, seq uint64) (stream.Stored, error)
	// PageOf gives up to limit events of a kind from a sequence on, oldest first.
	PageOf(ctx context.Context, kind contract.Kind, from uint64, limit int) ([]stream.Stored, error)
	// Info is where the stream begins and ends.
	Info(ctx context.Context) (stream.Info, error)
}

// Dispatcher makes and ends runs in the name of the scheduler; *dispatch.Dispatcher is one, and its
// comments are the contract.
type Dispatcher interface {
	Submit(ctx context.Context, t contract.Task) (contract.State, error)
	Resend(ctx context.Context, t contract.Task) error
	Fail(ctx context.Context, t contract.Task, reason contract.Reason, message string) error
	Successor(ctx context.Context, t contract.Task, source contract.TaskSource, notBefore contract.Time) (contract.Task, error)
}

// Counter says what SQS holds; *queue.Client is one.
type Counter interface {
	Counts(ctx context.Context, url string) (queue.Counts, error)
}

// DeadLetters reads dead-letter queues; *queue.Client is one.
type DeadLetters interface {
	Receive(ctx context.Context, url string, max int, wait, visibility time.Duration) ([]queue.Received, error)
	Delete(ctx context.Context, url, receipt string) error
	Release(ctx context.Context, url, receipt string, delay time.Duration) error
}

// Auditor holds the ledger to the stream, SQS and Kubernetes; *audit.Auditor is one.
type Auditor interface {
	// Round audits once, and keeps what it found where others read it. It says true where everything was
	// looked at and fits; else it is to be called again sooner.
	Round(ctx context.Context) (clean bool, err error)
}

// Defaults of Options.
const (
	DefaultAcceptedAfter = contract.DefaultAcceptedAfter
	DefaultQueuedAfter   = contract.DefaultQueuedAfter
	DefaultExpireAfter   = time.Hour
	DefaultCatchUpEvery  = 5 * time.Second
	DefaultRelayEvery    = 2 * time.Second
	DefaultSweepEvery    = 30 * time.Second
	DefaultAuditEvery    = 10 * time.Minute
)

// Options of a Scheduler. A duration of 0 is its default, except for QueuedAfter.
type Options struct {
	Config      contract.Config // queues with their URLs and their dead-letter queues' URLs
	Lease       Lease
	Schedules   Schedules
	Ledger      Ledger
	Events      Events
	Dispatcher  Dispatcher
	Counter     Counter
	DeadLetters DeadLetters
	Auditor     Auditor // nil: nothing is audited

	AcceptedAfter time.Duration // a run that SQS has not taken for so long is sent again
	QueuedAfter   time.Duration // a run that has waited so long, in a queue empty for so long; 0: never
	ExpireAfter   time.Duration // how long a run may outlive its queue's retention
	CatchUpEvery  time.Duration // how often schedules that are late are looked for
	RelayEvery    time.Duration
	SweepEvery    time.Duration
	AuditEvery    time.Duration

	Clock clockwork.Clock // nil: the real one
	Log   *slog.Logger    // nil: slog.Default
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.AcceptedAfter, DefaultAcceptedAfter},
		{&o.ExpireAfter, DefaultExpireAfter},
		{&o.CatchUpEvery, DefaultCatchUpEvery},
		{&o.RelayEvery, DefaultRelayEvery},
		{&o.SweepEvery, DefaultSweepEvery},
		{&o.AuditEvery, DefaultAuditEvery},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// validate names every field that cannot work, in one error.
func (o *Options) validate() error {
	var faults []error
	need := func(ok bool, field, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("scheduler: %s %s", field, fmt.Sprintf(format, args...)))
		}
	}
	need(o.Lease != nil, "Lease", "is required")
	need(o.Schedules != nil, "Schedules", "is required")
	need(o.Ledger != nil, "Ledger", "is required")
	need(o.Events != nil, "Events", "is required")
	need(o.Dispatcher != nil, "Dispatcher", "is required")
	need(o.Counter != nil, "Counter", "is required")
	need(o.DeadLetters != nil, "DeadLetters", "is required")
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"AcceptedAfter", o.AcceptedAfter},
		{"QueuedAfter", o.QueuedAfter},
		{"ExpireAfter", o.ExpireAfter},
		{"CatchUpEvery", o.CatchUpEvery},
		{"RelayEvery", o.RelayEvery},
		{"SweepEvery", o.SweepEvery},
		{"AuditEvery", o.AuditEvery},
	} {
		need(d.value >= 0, d.field, "is %s; it must not be negative", d.value)
	}
	owner := make(map[string]string)
	for _, q := range o.Config.Queues {
		need(q.URL != "", "Config", "queue %s has no url", q.Name)
		// The id of a foreign job is made from its queue's name, which a shared queue would hide.
		need(q.DeadLetter == "" || owner[q.DeadLetter] == "", "Config",
			"queues %s and %s share a dead-letter queue; give each its own", owner[q.DeadLetter], q.Name)
		owner[q.DeadLetter] = q.Name
	}
	return errors.Join(faults...)
}
