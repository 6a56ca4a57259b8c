package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// Events is the stream of events; *stream.Stream is one.
type Events interface {
	Info(ctx context.Context) (stream.Info, error)
}

// Replay is the ledger made anew from the stream; *aggregator.Replay is one.
type Replay interface {
	// To goes on until the event at seq, which the stream must have come to.
	To(ctx context.Context, seq uint64) error
	// Seq is how far it has come, First the first event that the stream has, Events how many were read.
	Seq() uint64
	First() uint64
	Events() int
	// Lacks tells whether the stream no longer has an event; Whole, whether it has every one from the first on.
	Lacks(seq uint64) bool
	Whole() bool
	// Foreign is the last event that another version of the aggregator folded, in a way that the replay does not
	// know; 0: none.
	Foreign() uint64
	// Gaps are the ranges, first and last, that it no longer has behind its first event.
	Gaps() iter.Seq2[uint64, uint64]
	// Job is the document that the bucket must hold; nil where the events make no such job known.
	Job(id string) []byte
	// Jobs are the ids of all jobs.
	Jobs() iter.Seq[string]
	// Books are all other documents, the stats last.
	Books() ([]stream.Entry, error)
}

// Bucket is one that is read; *stream.Bucket is one.
type Bucket interface {
	// Get gives stream.ErrNotFound for a key that is not there.
	Get(ctx context.Context, key string) (stream.Entry, error)
	// Each hands over the present value of every key that matches.
	Each(ctx context.Context, filter string, fn func(stream.Entry) error) error
}

// Records is the bucket "audit", of which Round writes what it found; *stream.Bucket is one.
type Records interface {
	Bucket
	Put(ctx context.Context, key string, value []byte) (revision uint64, err error)
}

// Counter says what SQS holds; *queue.Client is one.
type Counter interface {
	Counts(ctx context.Context, url string) (queue.Counts, error)
}

// Defaults of Options.
const (
	DefaultRetention  = 30 * 24 * time.Hour
	DefaultCounterLag = 65 * time.Second
	DefaultWait       = 10 * time.Second
	DefaultMost       = 1_000_000
)

// Options of an Auditor. A duration of 0 is its default, except for QueuedAfter.
type Options struct {
	Config  contract.Config // queues with their URLs and their dead-letter queues' URLs
	Events  Events
	Replay  func() Replay
	Ledger  Bucket // bucket "jobs"
	Claims  Bucket // bucket "claims"
	Records Records
	Counter Counter

	Retention   time.Duration // the aggregator's: 30 days
	QueuedAfter time.Duration // the scheduler's: a run is sent again when its queue was empty for so long; 0: never
	CounterLag  time.Duration // SQS's counters may be wrong for so long: on AWS a minute, 65 s by default
	Wait        time.Duration // how long one Run looks again at what it suspects: 10 s
	Most        int           // events that are replayed at the most; of a longer log a remark tells that documents were not compared: 1,000,000

	Clock clockwork.Clock // nil: the real one
	Log   *slog.Logger    // nil: none
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Retention, DefaultRetention}, {&o.CounterLag, DefaultCounterLag}, {&o.Wait, DefaultWait}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Most == 0 {
		o.Most = DefaultMost
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// validate names every field that is wrong.
func (o *Options) validate() error {
	var faults []error
	need := func(ok bool, field, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("audit: %s %s", field, fmt.Sprintf(format, args...)))
		}
	}
	need(o.Events != nil, "Events", "is required: the stream")
	need(o.Replay != nil, "Replay", "is required: the aggregator's")
	need(o.Ledger != nil, "Ledger", "is required: the bucket %s", contract.BucketJobs)
	need(o.Claims != nil, "Claims", "is required: the bucket %s", contract.BucketClaims)
	need(o.Records != nil, "Records", "is required: the bucket %s", contract.BucketAudit)
	need(o.Counter != nil, "Counter", "is required")
	need(o.QueuedAfter >= 0, "QueuedAfter", "is %s; it must not be less than 0", o.QueuedAfter)
	need(o.CounterLag > 0, "CounterLag", "is %s; it must be more than 0", o.CounterLag)
	need(o.Wait > 0 && o.Wait <= time.Hour, "Wait", "is %s; it must be more than 0 and at most an hour", o.Wait)
	need(o.Most > 0, "Most", "is %d; it must be at least 1", o.Most)
	return errors.Join(faults...)
}
