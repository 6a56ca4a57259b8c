package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"tallyman/internal/stream"
)

// Limits of the feed: what it holds of the newest events, and how many a client takes at once.
const (
	feedEvents = 4096
	feedBytes  = 16 << 20
	feedTake   = 256
	feedRetry  = time.Second
)

// feed holds the newest events of the stream for everybody who follows. A client has no queue here, only a
// position, so a slow one costs nothing, and is seen when its position is no longer held.
type feed struct {
	mu    sync.Mutex
	ring  []stream.Stored // ascending
	bytes int
	floor uint64        // every event behind it, up to last, is in the ring
	last  uint64        // the newest that was seen
	more  chan struct{} // closed and made anew when there is more
	open  bool          // the stream has been reached
}

func newFeed() *feed { return &feed{more: make(chan struct{})} }

// run follows the stream from its present end on.
func (f *feed) run(ctx context.Context, events Events) error {
	info, err := events.Info(ctx)
	for err != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(feedRetry):
			info, err = events.Info(ctx)
		}
	}
	f.begin(info.Last)
	return events.Follow(ctx, info.Last+1, func(st stream.Stored) error {
		f.add(st)
		return nil
	})
}

func (f *feed) begin(last uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.floor, f.last, f.open = last, last, true
}

func (f *feed) add(st stream.Stored) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring, f.bytes, f.last = append(f.ring, st), f.bytes+len(st.Raw), st.Seq
	for len(f.ring) > feedEvents || f.bytes > feedBytes && len(f.ring) > 1 {
		f.floor, f.bytes = f.ring[0].Seq, f.bytes-len(f.ring[0].Raw)
		f.ring[0] = stream.Stored{} // let go of the bytes: the array lives on until append moves it
		f.ring = f.ring[1:]
	}
	close(f.more)
	f.more = make(chan struct{})
}

// errBehind: the position is no longer held.
var errBehind = errors.New("behind what is held in memory")

// after gives what came behind a position, at most feedTake events; where there is nothing, more is closed
// when there is.
func (f *feed) after(position uint64) (events []stream.Stored, more <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if position < f.floor {
		return nil, nil, errBehind
	}
	lo, hi := 0, len(f.ring)
	for lo < hi {
		if mid := (lo + hi) / 2; f.ring[mid].Seq <= position {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	end := min(lo+feedTake, len(f.ring))
	return append(events, f.ring[lo:end]...), f.more, nil
}

// now gives the newest position; false while the stream has not been reached.
func (f *feed) now() (position uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.open
}

// held tells whether what follows a position is in memory.
func (f *feed) held(position uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return position >= f.floor
}
