package api

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"tallyman/contract"
	"tallyman/internal/dispatch"
	"tallyman/internal/feed"
	"tallyman/internal/stream"
)

// Watcher follows a bucket; *stream.Bucket is one.
type Watcher interface {
	// Watch hands over what is there, calls loaded once, then hands over every change, until ctx ends; stream.ErrAnew
	// where the bucket was made anew. The books are then read again; of every other bucket it ends the program.
	Watch(ctx context.Context, filter string, fn func(stream.Entry) error, loaded func() error) error
}

// Getter reads one key of a bucket; stream.ErrNotFound where it is absent.
type Getter interface {
	Get(ctx context.Context, key string) (stream.Entry, error)
}

// ScheduleStore is where schedules are made and deleted; *stream.Bucket is one.
type ScheduleStore interface {
	Getter
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Delete gives stream.ErrConflict where the revision is another.
	Delete(ctx context.Context, key string, revision uint64) error
}

// HookStore is where webhooks say how far they have come, and are asked to go on from another place;
// *stream.Bucket is one.
type HookStore interface {
	Getter
	// Put writes whatever is there: the last order stands.
	Put(ctx context.Context, key string, value []byte) (revision uint64, err error)
}

// Events is the stream of events, read; *stream.Stream is one.
type Events interface {
	// Event gives stream.ErrNotFound for a sequence that is not stored, or no more, and stream.ErrBehind where the
	// server that was asked has it not yet.
	Event(ctx context.Context, seq uint64) (stream.Stored, error)
	// Since gives the first event stored at a moment or later; stream.ErrNotFound where all are older.
	Since(ctx context.Context, at time.Time) (uint64, error)
	feed.Log
}

// Signals is what is not stored: progress, and whether NATS is there; *stream.Stream is one.
type Signals interface {
	// Subscribe calls fn for every message until ctx ends.
	Subscribe(ctx context.Context, subject string, fn func(subject string, data []byte)) error
	Ready(ctx context.Context) error
}

// Dispatcher makes and ends runs; *dispatch.Dispatcher is one, and its comments are the contract.
type Dispatcher interface {
	Submit(ctx context.Context, t contract.Task) (contract.State, error)
	SubmitKeyed(ctx context.Context, t contract.Task) (contract.State, error)
	Successor(ctx context.Context, t contract.Task, source contract.TaskSource, notBefore contract.Time) (contract.Task, error)
	Cancel(ctx context.Context, t contract.Task, ended func(run int) bool) (dispatch.Cancelled, error)
	CancelUnclaimed(ctx context.Context, t contract.Task) (bool, error)
}

// Past knows what the books were.
type Past interface {
	// At gives the documents of the books, the stats last, as they were when the event at seq had been
	// counted; with seq 0, all that were stored until a moment. A contract.Error says why it cannot.
	At(ctx context.Context, seq uint64, at time.Time) ([]stream.Entry, error)
}

// Auditor holds the books to the world; *audit.Auditor is one, and its comments are the contract.
type Auditor interface {
	Run(ctx context.Context) (contract.AuditReport, error)
}

// Cron knows when a schedule fires next.
type Cron interface {
	// Next gives the first tick after a moment; an error says what is wrong with the expression.
	Next(cron, zone string, after time.Time) (time.Time, error)
}

// Options of a Server. Every port is required; the rest has defaults.
type Options struct {
	Addr      string // host:port, 127.0.0.1:8080 by default; port 0 takes a free one
	TokenFile string // of the bearer token; "": none is asked for
	IndexPath string // of the disposable index; "": in memory
	Config    contract.Config

	Jobs      Watcher       // bucket "jobs"
	Schedules ScheduleStore // bucket "schedules"
	Ticks     Watcher       // the same bucket, watched
	Output    Getter        // bucket "output"
	Webhooks  HookStore     // bucket "webhooks"
	Claims    Getter        // bucket "claims"
	Events    Events
	Signals   Signals
	Dispatch  Dispatcher
	Cron      Cron
	Past      Past
	Counter   Counter
	Remarks   Remarks
	Auditor   Auditor
	Reports   Watcher // bucket "audit"

	AcceptedAfter time.Duration // the scheduler's, for explain to say when a run is sent again: 30 s by default
	QueuedAfter   time.Duration // likewise; 0: never

	MaxStreams int           // clients that follow at a time, 2000 by default; each costs some 50 KiB, PastBytes beside
	PastBytes  int64         // of events that clients are sent of the past, for all of them: 64 MiB by default, 2 MiB at least
	Heartbeat  time.Duration // of a stream with nothing to say, 10 s by default
	Timeout    time.Duration // of a request's work, 5 s by default
	Log        *slog.Logger
	Now        func() time.Time
	Random     io.Reader
}

// Defaults and limits.
const (
	DefaultAddr       = "127.0.0.1:8080"
	DefaultMaxStreams = 2000
	DefaultPastBytes  = feed.DefaultPastBytes
	minPastBytes      = 2 << 20
	defaultHeartbeat  = 10 * time.Second
	maxHeartbeat      = 15 * time.Second
	defaultTimeout    = 5 * time.Second
	maxTokenBytes     = 4096
)

func (o *Options) setDefaults() {
	o.Addr = or(o.Addr, DefaultAddr)
	o.AcceptedAfter = or(o.AcceptedAfter, contract.DefaultAcceptedAfter)
	o.MaxStreams = or(o.MaxStreams, DefaultMaxStreams)
	o.PastBytes = or(o.PastBytes, DefaultPastBytes)
	o.Heartbeat = or(o.Heartbeat, defaultHeartbeat)
	o.Timeout = or(o.Timeout, defaultTimeout)
	o.Log = or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
}

func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// validate names every fault in one error.
func (o *Options) validate() error {
	var faults []error
	need := func(ok bool, field, what string) {
		if !ok {
			faults = append(faults, contract.Errorf(contract.CodeInvalidValue, field, "%s", what))
		}
	}
	need(strings.Contains(o.Addr, ":"), "Addr", "must be host:port")
	need(len(o.Config.Queues) > 0, "Config", "needs a queue")
	need(o.Jobs != nil, "Jobs", "is required")
	need(o.Schedules != nil, "Schedules", "is required")
	need(o.Ticks != nil, "Ticks", "is required")
	need(o.Output != nil, "Output", "is required")
	need(o.Webhooks != nil, "Webhooks", "is required")
	need(o.Events != nil, "Events", "is required")
	need(o.Signals != nil, "Signals", "is required")
	need(o.Dispatch != nil, "Dispatch", "is required")
	need(o.Cron != nil, "Cron", "is required")
	need(o.Past != nil, "Past", "is required")
	need(o.Claims != nil, "Claims", "is required")
	need(o.Counter != nil, "Counter", "is required")
	need(o.Remarks != nil, "Remarks", "is required")
	need(o.Auditor != nil, "Auditor", "is required")
	need(o.Reports != nil, "Reports", "is required")
	need(o.AcceptedAfter >= 0, "AcceptedAfter", "must not be less than 0")
	need(o.QueuedAfter >= 0, "QueuedAfter", "must not be less than 0")
	need(o.MaxStreams > 0, "MaxStreams", "must be at least 1")
	need(o.PastBytes >= minPastBytes, "PastBytes", "must be at least 2097152, or no page of the past fits")
	need(o.Heartbeat > 0 && o.Heartbeat <= maxHeartbeat, "Heartbeat", "must be at most 15s, or proxies cut idle streams")
	need(o.Timeout > 0, "Timeout", "must be more than 0")
	return errors.Join(faults...)
}

// token reads the bearer token; "" where none is asked for.
func (o *Options) token() (string, error) {
	if o.TokenFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(o.TokenFile)
	if err != nil {
		return "", contract.Errorf(contract.CodeInvalidValue, "TokenFile", "%v", err)
	}
	token := strings.TrimSpace(string(b))
	if !contract.ValidLabel(token, maxTokenBytes) {
		return "", contract.Errorf(contract.CodeInvalidValue, "TokenFile", "%s must hold one line of printable characters", o.TokenFile)
	}
	return token, nil
}
