package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"tallyman/contract"
	"tallyman/internal/feed"
	"tallyman/internal/stream"
)

// Lease makes one leader; *stream.Lease is one.
type Lease interface {
	// Run runs lead whenever this process leads, until ctx ends; lead's ctx ends with the lease.
	Run(ctx context.Context, lead func(context.Context) error) error
}

// Records is the bucket "webhooks"; *stream.Bucket is one.
type Records interface {
	// Get gives stream.ErrNotFound where the key is absent.
	Get(ctx context.Context, key string) (stream.Entry, error)
	// Create and Update give stream.ErrConflict where somebody else wrote first.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Watch hands over what is there, calls loaded once, then hands over every change, until ctx ends. That the bucket
	// was made anew, stream.ErrAnew, ends the program: its next life reads what is there now.
	Watch(ctx context.Context, filter string, fn func(stream.Entry) error, loaded func() error) error
}

// Options of a Webhooks. Every port is required; the rest has defaults.
type Options struct {
	Hooks   []contract.Webhook
	Lease   Lease
	Events  feed.Log
	Records Records

	FirstBackoff time.Duration // before the second try, 1 s by default; then twice as long each time
	MaxBackoff   time.Duration // 1 min by default
	NoteEvery    time.Duration // how often what has arrived is noted, 500 ms by default
	Log          *slog.Logger
	Now          func() time.Time
}

const (
	defaultFirstBackoff = time.Second
	defaultMaxBackoff   = time.Minute
	defaultNoteEvery    = 500 * time.Millisecond
)

func (o *Options) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.FirstBackoff, defaultFirstBackoff}, {&o.MaxBackoff, defaultMaxBackoff}, {&o.NoteEvery, defaultNoteEvery}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// validate names every fault in one error.
func (o *Options) validate() error {
	var faults []error
	need := func(ok bool, field, what string) {
		if !ok {
			faults = append(faults, contract.Errorf(contract.CodeInvalidValue, field, "%s", what))
		}
	}
	need(o.Lease != nil, "Lease", "is required")
	need(o.Events != nil, "Events", "is required")
	need(o.Records != nil, "Records", "is required")
	need(o.FirstBackoff > 0 && o.MaxBackoff >= o.FirstBackoff, "MaxBackoff", "must be at least FirstBackoff, and that more than 0")
	need(o.NoteEvery > 0, "NoteEvery", "must be more than 0")
	for i := range o.Hooks {
		for _, p := range o.Hooks[i].Allow {
			_, err := netip.ParsePrefix(p)
			need(err == nil, "Hooks", "has a prefix that is none")
		}
	}
	return errors.Join(faults...)
}
