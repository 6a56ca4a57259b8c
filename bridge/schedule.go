package bridge

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
)

// Back-off of a unit that could not be settled.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// schedule is the keyed queue: which unit is to be looked at, and when. A unit is in it once, however
// often it is asked for, and is with one worker at a time; asked for meanwhile, it comes again. So it can
// grow no larger than the number of units there are.
type schedule struct {
	clock clockwork.Clock
	mu    sync.Mutex
	due   dueHeap
	byKey map[string]*item
	wake  chan struct{} // one token: something became due earlier than somebody waits for
}

type item struct {
	key   string
	at    time.Time // when it is due; zero while nobody asks for it
	busy  bool      // with a worker
	fails int       // in a row
	index int       // in the heap, -1 outside
}

func newSchedule(clock clockwork.Clock) *schedule {
	return &schedule{clock: clock, byKey: make(map[string]*item), wake: make(chan struct{}, 1)}
}

// add asks for a look at key after d; an earlier one asked for before stands.
func (s *schedule) add(key string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.byKey[key]
	if it == nil {
		it = &item{key: key, index: -1}
		s.byKey[key] = it
	}
	at := s.clock.Now().Add(d)
	if !it.at.IsZero() && !at.Before(it.at) {
		return
	}
	it.at = at
	s.place(it)
}

// place puts an item that is due and not busy into the heap, and wakes who waits.
func (s *schedule) place(it *item) {
	if it.busy || it.at.IsZero() {
		return
	}
	if it.index < 0 {
		heap.Push(&s.due, it)
	} else {
		heap.Fix(&s.due, it.index)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next waits for the next key that is due; false when ctx ends. done must follow.
func (s *schedule) next(ctx context.Context) (string, bool) {
	for {
		key, wait := s.take()
		if wait == 0 {
			return key, ctx.Err() == nil
		}
		timer := s.clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", false
		case <-s.wake:
		case <-timer.Chan():
		}
		timer.Stop()
	}
}

// take gives a key that is due, or how long it is until one is.
func (s *schedule) take() (string, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return "", time.Hour
	}
	if wait := s.due[0].at.Sub(s.clock.Now()); wait > 0 {
		return "", wait
	}
	it := heap.Pop(&s.due).(*item)
	it.busy, it.at = true, time.Time{}
	if len(s.due) > 0 { // there may be work for another worker
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return it.key, 0
}

// done gives a key back: after a failure it comes again by itself, later each time; else after again, if
// that is more than 0.
func (s *schedule) done(key string, again time.Duration, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.byKey[key]
	it.busy = false
	if failed {
		again = min(firstBackoff<<min(it.fails, 10), maxBackoff)
		it.fails++
	} else {
		it.fails = 0
	}
	if at := s.clock.Now().Add(again); again > 0 && (it.at.IsZero() || at.Before(it.at) || failed) {
		it.at = at
	}
	if it.at.IsZero() {
		delete(s.byKey, key)
		return
	}
	s.place(it)
}

type dueHeap []*item

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	it := x.(*item)
	it.index = len(*h)
	*h = append(*h, it)
}
func (h *dueHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h, it.index = old[:len(old)-1], -1
	return it
}
