package aggregator

import (
	"context"
	"sync"

	"tallyman/internal/stream"
)

// maxBurst is how many events wait for the fold at most, and are folded before anything else is looked at.
const maxBurst = 512

// inbox hands events from the goroutine that reads them to the one that folds them, as many at a time as
// there are. A channel of events would cost more than the fold itself: two waits, and three copies of
// half a kilobyte, for each.
type inbox struct {
	filled chan struct{} // something waits
	room   chan struct{} // what waited was taken

	lock   sync.Mutex
	events []stream.Stored
}

func newInbox() *inbox {
	return &inbox{filled: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put waits while the inbox is full.
func (i *inbox) put(ctx context.Context, e stream.Stored) error {
	for !i.add(&e) {
		select {
		case <-i.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	signal(i.filled)
	return nil
}

func (i *inbox) add(e *stream.Stored) bool {
	i.lock.Lock()
	defer i.lock.Unlock()
	if len(i.events) == maxBurst {
		return false
	}
	i.events = append(i.events, *e)
	return true
}

// take gives all that waits; empty is what it gave before, which is filled again.
func (i *inbox) take(empty []stream.Stored) []stream.Stored {
	clear(empty) // what was read goes with the next collection, not with the next full inbox
	i.lock.Lock()
	waiting := i.events
	i.events = empty[:0]
	i.lock.Unlock()
	signal(i.room)
	return waiting
}

// signal leaves a word for one who may not be waiting yet; a second word says nothing new.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
