package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Events is the stream of events. Follow hands over every event from a sequence on, in order, until ctx
// ends or fn gives an error. Event reads one, or gives stream.ErrNotFound, or stream.ErrBehind where the
// server that was asked has it not yet.
type Events interface {
	Follow(ctx context.Context, from uint64, fn func(stream.Stored) error) error
	Event(ctx context.Context, seq uint64) (stream.Stored, error)
	Info(ctx context.Context) (stream.Info, error)
}

// Bucket is the bucket "jobs". Get gives stream.ErrNotFound for a key that is not there. Each hands over
// the present value of every key that matches. Commit writes all or nothing: stream.ErrConflict where the
// fence has another revision, stream.ErrUnavailable where nobody knows.
type Bucket interface {
	Get(ctx context.Context, key string) (stream.Entry, error)
	Each(ctx context.Context, filter string, fn func(stream.Entry) error) error
	Commit(ctx context.Context, changes []stream.Change, fence stream.Fence) (revision uint64, err error)
}

// Lease makes one leader among several. Run campaigns until ctx ends, and calls lead while it leads,
// whose ctx ends when the lease is lost.
type Lease interface {
	Run(ctx context.Context, lead func(context.Context) error) error
}

// Defaults of Options.
const (
	DefaultRetention = 30 * 24 * time.Hour
	DefaultWindow    = 5 * time.Minute
	DefaultEvery     = 250 * time.Millisecond
)

// Options are what the aggregator is made of. Retention and Window decide what the fold gives: a standby in
// which they are not the leader's loads the ledger when it comes to lead, and is not warm.
type Options struct {
	Events    Events
	Bucket    Bucket
	Lease     Lease         // nil: this process always leads; the fence guards the ledger even then
	Retention time.Duration // how long the document of an ended job is kept, by event time; 0: 30 days
	Window    time.Duration // how long the id of a fact that a processor says of its unit is kept, by event time; 0: 5 minutes
	// AcceptGapsTo is the sequence up to which a person has said that nothing was lost by those that the stream
	// does not have; 0: none.
	AcceptGapsTo uint64
	Every        time.Duration // the shortest time between two commits that are not full; 0: 250 ms
	Log          *slog.Logger  // nil: none
}

func (o *Options) setDefaults() {
	o.Retention = orDefault(o.Retention, DefaultRetention)
	o.Window = orDefault(o.Window, DefaultWindow)
	o.Every = orDefault(o.Every, DefaultEvery)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

// validate names every field that is wrong.
func (o *Options) validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(o.Events == nil, "Events is missing: give the stream %s", contract.StreamEvents)
	fault(o.Bucket == nil, "Bucket is missing: give the bucket %s", contract.BucketJobs)
	fault(o.Retention < time.Second, "Retention %s is too short: at least a second, by default %s", o.Retention, DefaultRetention)
	fault(o.Window < time.Second || o.Window > time.Hour, "Window %s must be a second to an hour, by default %s", o.Window, DefaultWindow)
	fault(o.Every < time.Millisecond || o.Every > time.Minute, "Every %s must be a millisecond to a minute, by default %s", o.Every, DefaultEvery)
	if len(faults) > 0 {
		return fmt.Errorf("aggregator: %w", errors.Join(faults...))
	}
	return nil
}

// Aggregator folds the events of the stream into the documents of the bucket.
type Aggregator struct {
	Options
	leading  atomic.Bool
	turned   chan struct{} // leading has changed
	state    state
	progress progress
	stray    *stray // the last that was met, for the session alone

	documents int // of one commit, for the session alone; fewer once the server has refused so many
}

// New checks the options. Run does the work.
func New(o Options) (*Aggregator, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &Aggregator{Options: o, turned: make(chan struct{}, 1), documents: maxDocuments}
	a.state.set(errors.New("the ledger is not loaded yet"))
	a.progress.moved = make(chan struct{})
	return a, nil
}

func (a *Aggregator) rules() rules {
	return rules{retention: a.Retention, window: a.Window, gapsTo: a.AcceptGapsTo}
}

// Run folds and, while this process leads, commits, until ctx ends; it then returns nil. Whatever goes
// wrong in between it loads the ledger again and goes on; it returns an error only where that could
// never help.
func (a *Aggregator) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var campaign sync.WaitGroup
	campaign.Go(func() {
		if err := a.campaign(ctx); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("lease: %w", err))
		}
	})
	err := a.sessions(ctx)
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	cancel(nil)
	campaign.Wait() // the lease is given back before this returns
	return err
}

const (
	leastWait = 50 * time.Millisecond
	mostWait  = 5 * time.Second
)

// sessions runs one session after another, and waits in between, longer each time that one was short.
func (a *Aggregator) sessions(ctx context.Context) error {
	for wait := leastWait; ; wait = min(2*wait, mostWait) {
		began := time.Now()
		err := a.session(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errVersion):
			return err
		}
		if time.Since(began) > mostWait {
			wait = leastWait
		}
		a.state.set(err)
		a.complain(err, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// complain says why the ledger is loaded again. That another wrote first is the day's work where two
// lead for a moment, and where a standby looks for a moment of quiet to load in; it is told aloud only
// where a leader does not get over it.
func (a *Aggregator) complain(err error, wait time.Duration) {
	level := slog.LevelWarn
	if errors.Is(err, errMoved) && (wait < time.Second || !a.leading.Load()) {
		level = slog.LevelInfo
	}
	a.Log.Log(context.Background(), level, "loading the ledger again", "cause", err, "in", wait)
}

// campaign asks for the lease and tells the session whether it leads.
func (a *Aggregator) campaign(ctx context.Context) error {
	if a.Lease == nil {
		a.turn(true)
		return nil
	}
	return a.Lease.Run(ctx, func(term context.Context) error {
		a.turn(true)
		defer a.turn(false)
		<-term.Done()
		return term.Err()
	})
}

func (a *Aggregator) turn(leads bool) {
	a.leading.Store(leads)
	select {
	case a.turned <- struct{}{}:
	default: // the session has not looked since the last turn
	}
}

// Ready gives nil when the ledger is loaded and followed, else why it is not.
func (a *Aggregator) Ready() error { return a.state.get() }

// Leading tells whether this process is the one that commits.
func (a *Aggregator) Leading() bool { return a.leading.Load() }

// Committed waits until the bucket holds what the events up to seq add up to, whoever wrote it.
func (a *Aggregator) Committed(ctx context.Context, seq uint64) error {
	return a.progress.wait(ctx, seq)
}

// state is why the aggregator is not ready.
type state struct {
	mu  sync.Mutex
	err error
}

func (s *state) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *state) get() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// progress is how far the bucket has come.
type progress struct {
	mu    sync.Mutex
	seq   uint64
	moved chan struct{} // closed at the next move
}

func (p *progress) move(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq = seq
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *progress) wait(ctx context.Context, seq uint64) error {
	for {
		p.mu.Lock()
		at, moved := p.seq, p.moved
		p.mu.Unlock()
		if at >= seq {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for sequence %d, the bucket is at %d: %w", seq, at, ctx.Err())
		case <-moved:
		}
	}
}
