package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tallyman/internal/stream"
)

// ErrAnew: the stream is another one than that which the reader began with, so its place means nothing.
var ErrAnew = errors.New("the stream of events has been made anew")

// Reader is one follower's place in the log. It belongs to one goroutine.
type Reader struct {
	feed    *Feed
	created time.Time
	at      uint64
	room    []*stream.Stored
}

// Batch is what a reader has come to see.
type Batch struct {
	Events  []*stream.Stored // until the next call; nobody changes an event
	Missing uint64           // so many before the first of them, or before the reader's place, are no longer kept
	More    <-chan struct{}  // closed when there is more; where Events is empty
}

// Reader begins behind a sequence. Where that is one that the stream has not come to, not even where others
// see it, it is none of this stream's: known is false, and the reader begins behind the newest.
func (f *Feed) Reader(ctx context.Context, after uint64) (r *Reader, known bool, err error) {
	last, reached := f.Now()
	if !reached {
		return nil, false, fmt.Errorf("the stream of events has not been reached yet: %w", stream.ErrUnavailable)
	}
	r = &Reader{feed: f, created: f.Created(), at: after}
	if after <= last {
		return r, true, nil
	}
	info, err := f.from.Info(ctx) // another process may have seen more
	if err != nil {
		return nil, false, err
	}
	if after <= info.Last {
		return r, true, nil
	}
	r.at = last
	return r, false, nil
}

// At is the last sequence that the reader has been handed, or has passed.
func (r *Reader) At() uint64 { return r.at }

// Created tells which stream the reader reads.
func (r *Reader) Created() time.Time { return r.created }

// Live tells whether what comes next is in memory.
func (r *Reader) Live() bool {
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	return r.at >= r.feed.floor
}

// Next gives what follows, without waiting for it. An error other than ErrAnew mends itself: ask again.
func (r *Reader) Next(ctx context.Context) (Batch, error) {
	events, more, held, err := r.feed.held(r.created, r.at, r.room[:0])
	if err != nil {
		return Batch{}, err
	}
	if !held {
		return r.past(ctx)
	}
	r.room = events
	if len(events) == 0 {
		return Batch{More: more}, nil
	}
	return r.handed(events), nil
}

// past reads one page of the log.
func (r *Reader) past(ctx context.Context) (Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	select {
	case r.feed.reads <- struct{}{}:
		defer func() { <-r.feed.reads }()
	case <-ctx.Done():
		return Batch{}, fmt.Errorf("read the log behind %d: %w: too many read it", r.at, stream.ErrUnavailable)
	}
	page, err := r.feed.from.Page(ctx, r.at+1, take)
	if err != nil {
		return Batch{}, err
	}
	if len(page) == 0 {
		return r.trimmed(ctx)
	}
	events := r.room[:0]
	for i := range page {
		events = append(events, &page[i])
	}
	r.room = events
	return r.handed(events), nil
}

// trimmed moves a reader on where the log no longer has what it is to read. Where it has, the server that was
// asked is only behind, and is asked again.
func (r *Reader) trimmed(ctx context.Context) (Batch, error) {
	info, err := r.feed.from.Info(ctx)
	switch {
	case err != nil:
		return Batch{}, err
	case !info.Created.Equal(r.created):
		return Batch{}, ErrAnew
	case info.First <= r.at+1:
		return Batch{}, fmt.Errorf("read the log behind %d: %w: the server that was asked is behind", r.at, stream.ErrUnavailable)
	}
	missing := info.First - 1 - r.at
	r.at = info.First - 1
	return Batch{Missing: missing, More: closed}, nil
}

// closed is for those who need not wait.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// handed moves the reader behind the events, up to the first hole in them: a hole is told at the beginning of
// a batch.
func (r *Reader) handed(events []*stream.Stored) Batch {
	missing := events[0].Seq - r.at - 1
	for i := 1; i < len(events); i++ {
		if events[i].Seq != events[i-1].Seq+1 {
			events = events[:i]
			break
		}
	}
	r.at = events[len(events)-1].Seq
	return Batch{Events: events, Missing: missing}
}
