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

// Reader is one follower's place in the log. It belongs to one goroutine, which closes it: what it was handed of
// the past is kept at the expense of all others who read it.
type Reader struct {
	feed    *Feed
	created time.Time
	at      uint64
	room    []*stream.Stored
	share   int64     // of the past, that is kept for this one; 0: what it was handed was the ring's
	since   time.Time // when it was handed that
}

// Batch is what a reader has come to see.
type Batch struct {
	Events  []*stream.Stored // until the next call; as Feed.Event gives them, and nobody changes one
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

// Pass moves the reader on behind a sequence: it is not handed what it has not been handed up to there.
func (r *Reader) Pass(seq uint64) { r.at = max(r.at, seq) }

// Created tells which stream the reader reads.
func (r *Reader) Created() time.Time { return r.created }

// Live tells whether what comes next is in memory.
func (r *Reader) Live() bool {
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	return r.at >= r.feed.floor
}

// Close gives back what the reader was handed. It may go on.
func (r *Reader) Close() {
	if r.share > 0 {
		r.feed.past.free.Release(r.share)
		r.share = 0
	}
	clear(r.room) // an event that nobody else has would stay for as long as the reader
}

// Late tells a reader who has come to a sequence of what he was handed that he is too slow with the rest: the ring
// has forgotten it, or another waits for the share of the past that it takes, and has for long enough.
func (r *Reader) Late(seq uint64) bool {
	if r.share > 0 {
		return time.Since(r.since) > r.feed.patience && r.feed.past.waiting.Load() > 0
	}
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	return seq < r.feed.floor
}

// Next gives what follows, without waiting for it. An error other than ErrAnew mends itself: ask again.
func (r *Reader) Next(ctx context.Context) (Batch, error) {
	r.Close()
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
	page, share, err := r.feed.past.page(ctx, r.at+1, take)
	if err != nil {
		return Batch{}, err
	}
	if len(page) == 0 {
		return r.trimmed(ctx)
	}
	r.share, r.since = share, time.Now()
	events := r.room[:0]
	for _, st := range page {
		events = append(events, told(st))
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
		return Batch{}, fmt.Errorf("read the log behind %d: %w", r.at, stream.ErrBehind)
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
