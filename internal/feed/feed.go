package feed

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"sync"
	"time"

	"tallyman/internal/stream"
)

// Limits of the ring, and of what a follower is handed at once.
const (
	maxEvents = 4096
	maxBytes  = 16 << 20
	take      = 256
	retry     = time.Second
	lookEvery = 10 * time.Second
)

// Log is the stream of events; *stream.Stream is one.
type Log interface {
	// Follow hands over every event from seq on, in order, until ctx ends or fn gives an error; stream.ErrAnew where
	// it is no longer the same stream.
	Follow(ctx context.Context, from uint64, fn func(stream.Stored) error) error
	// Page gives up to limit events from a sequence on, oldest first, and no more once they have stream.PageBytes;
	// none where there is nothing (yet).
	Page(ctx context.Context, from uint64, limit int) ([]stream.Stored, error)
	Info(ctx context.Context) (stream.Info, error)
}

// Feed holds the newest events. Make one with New, let it Run, and read it by Readers.
type Feed struct {
	log      *slog.Logger
	from     Log
	look     time.Duration
	past     *past
	patience time.Duration

	mu      sync.Mutex
	ring    []*stream.Stored // ascending
	bytes   int
	floor   uint64        // every event behind it, up to last, is in the ring
	last    uint64        // the newest that was seen
	more    chan struct{} // closed and made anew when there is more
	created time.Time     // of the stream: zero until it has been reached
	heard   time.Time     // when it last told anything; before it did, when this began
}

// New makes a Feed that is empty until it runs.
func New(log Log, logger *slog.Logger, o Options) *Feed {
	o.setDefaults()
	return &Feed{
		log: logger, from: log, look: lookEvery, past: newPast(log, o.PastBytes), patience: o.Patience,
		more: make(chan struct{}), heard: time.Now(),
	}
}

// Run follows the stream from its present end on, until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	for {
		info, err := f.reach(ctx)
		if err != nil {
			return err
		}
		f.begin(info)
		err = f.follow(ctx, info)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, ErrAnew) {
			return err
		}
		f.log.Warn("the stream of events has been made anew; whoever follows begins again")
	}
}

// reach asks until the stream answers.
func (f *Feed) reach(ctx context.Context) (stream.Info, error) {
	for {
		info, err := f.from.Info(ctx)
		if err == nil {
			return info, nil
		}
		select {
		case <-ctx.Done():
			return info, ctx.Err()
		case <-time.After(retry):
		}
	}
}

// follow fills the ring from one stream. It is looked at now and then besides: whether it answers, and whether it is
// still the same one, which its consumer learns only when that has to be made again.
func (f *Feed) follow(ctx context.Context, began stream.Info) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer func() { <-done }()
	defer cancel(nil)
	go func() {
		defer close(done)
		tick := time.NewTicker(f.look)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			seen, _ := f.Now()
			info, err := f.from.Info(ctx)
			if err == nil {
				f.hear()
			}
			if err == nil && (!info.Created.Equal(began.Created) || info.Last < seen) {
				cancel(ErrAnew)
			}
		}
	}()
	err := f.from.Follow(ctx, began.Last+1, func(st stream.Stored) error {
		f.add(told(st))
		return nil
	})
	if errors.Is(context.Cause(ctx), ErrAnew) || errors.Is(err, stream.ErrAnew) {
		return ErrAnew
	}
	return err
}

func (f *Feed) begin(info stream.Info) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring, f.bytes, f.floor, f.last, f.created, f.heard = nil, 0, info.Last, info.Last, info.Created, time.Now()
	f.wake()
}

func (f *Feed) add(st *stream.Stored) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring, f.bytes, f.last, f.heard = append(f.ring, st), f.bytes+len(st.Raw), st.Seq, time.Now()
	for len(f.ring) > maxEvents || f.bytes > maxBytes && len(f.ring) > 1 {
		f.floor, f.bytes = f.ring[0].Seq, f.bytes-len(f.ring[0].Raw)
		f.ring[0] = nil // let go of the bytes: the array lives on until append moves it
		f.ring = f.ring[1:]
	}
	f.wake()
}

func (f *Feed) wake() {
	close(f.more)
	f.more = make(chan struct{})
}

// Now gives the newest sequence; false while the stream has not been reached.
func (f *Feed) Now() (last uint64, reached bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, !f.created.IsZero()
}

func (f *Feed) hear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = time.Now()
}

// Silent is for how long the stream has told nothing, though it is looked at every so often, or has not been reached
// at all; 0 while it answers.
func (f *Feed) Silent() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if silent := time.Since(f.heard); f.created.IsZero() || silent > 3*f.look {
		return silent
	}
	return 0
}

// Reached waits until the stream has been reached; false where ctx ends before.
func (f *Feed) Reached(ctx context.Context) bool {
	for {
		f.mu.Lock()
		more, reached := f.more, !f.created.IsZero()
		f.mu.Unlock()
		if reached {
			return true
		}
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}

// Created tells one stream from its successor; zero while it has not been reached.
func (f *Feed) Created() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.created
}

// Event gives one event from memory; nil where it is not held. Of its Event there is only what tells whose it is.
func (f *Feed) Event(seq uint64) *stream.Stored {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.behind(seq - 1); seq > 0 && i < len(f.ring) && f.ring[i].Seq == seq {
		return f.ring[i]
	}
	return nil
}

// behind gives the place in the ring of the first event behind a sequence.
func (f *Feed) behind(seq uint64) int {
	return sort.Search(len(f.ring), func(i int) bool { return f.ring[i].Seq > seq })
}

// Keep gives one event, from memory or from the log, and what gives it back: whoever waits to read the past may
// wait for that. stream.ErrNotFound: it is not stored, or no more; stream.ErrBehind: ask again.
func (f *Feed) Keep(ctx context.Context, seq uint64) (st *stream.Stored, giveBack func(), err error) {
	if st := f.Event(seq); st != nil {
		return st, func() {}, nil
	}
	page, share, err := f.past.page(ctx, seq, 1)
	if err != nil {
		return nil, nil, err
	}
	giveBack = func() { f.past.free.Release(share) }
	if len(page) == 0 || page[0].Seq != seq {
		giveBack()
		info, err := f.from.Info(ctx)
		if err == nil {
			err = info.Absent(seq)
		}
		return nil, nil, err
	}
	return told(page[0]), giveBack, nil
}

// held gives what the ring has behind a place, and what is closed when there is more; false where the place is
// older than the ring, or of a stream that was.
func (f *Feed) held(created time.Time, at uint64, into []*stream.Stored) ([]*stream.Stored, <-chan struct{}, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.created.Equal(created):
		return nil, nil, false, ErrAnew
	case at < f.floor:
		return nil, nil, false, nil
	}
	bytes := 0
	for _, st := range f.ring[f.behind(at):] { // who is slow with them keeps them, though the ring has forgotten them
		if len(into) == take || bytes >= stream.PageBytes {
			break
		}
		into, bytes = append(into, st), bytes+len(st.Raw)
	}
	return into, f.more, true, nil
}
