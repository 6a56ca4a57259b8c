package bridge

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

// taken gives every key that is due now.
func taken(s *schedule) (keys []string) {
	for {
		key, wait := s.take()
		if wait > 0 {
			return keys
		}
		keys = append(keys, key)
	}
}

func TestScheduleJoinsAndOrders(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	s := newSchedule(clock)
	s.add("late", time.Minute)
	s.add("soon", time.Second)
	s.add("soon", time.Hour) // an earlier one stands
	s.add("late", time.Millisecond)
	if got := taken(s); got != nil {
		t.Fatalf("%v are due at once", got)
	}
	clock.Advance(2 * time.Second)
	if got := taken(s); !slices.Equal(got, []string{"late", "soon"}) {
		t.Errorf("due: %v", got)
	}
	s.done("soon", 0, false)
	s.done("late", 0, false)
	if len(s.byKey) != 0 || len(s.due) != 0 {
		t.Errorf("%d keys are remembered for nothing", len(s.byKey))
	}
}

func TestScheduleGivesAKeyToOneWorkerAtATime(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	s := newSchedule(clock)
	s.add("a", 0)
	if got := taken(s); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("due: %v", got)
	}
	s.add("a", 0) // while it is with a worker
	if got := taken(s); got != nil {
		t.Fatalf("%v is with two workers", got)
	}
	s.done("a", time.Hour, false)
	if got := taken(s); !slices.Equal(got, []string{"a"}) {
		t.Errorf("what was asked for meanwhile was forgotten: %v", got)
	}
}

func TestScheduleBacksOff(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	s := newSchedule(clock)
	s.add("a", 0)
	var waits []time.Duration
	for range 12 {
		taken(s)
		s.done("a", 0, true)
		_, wait := s.take()
		waits = append(waits, wait)
		clock.Advance(wait)
	}
	want := []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	taken(s)
	s.done("a", 0, false)
	s.add("a", 0)
	taken(s)
	s.done("a", 0, true)
	if _, wait := s.take(); wait != firstBackoff {
		t.Errorf("after a success the first wait is %s, want %s", wait, firstBackoff)
	}
}

// TestScheduleUnderLoad has many ask and several work: every key is worked on after it was last asked for.
func TestScheduleUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSchedule(clockwork.NewRealClock())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const keys, asks = 50, 200
	var mu sync.Mutex
	asked, seen, busy := map[string]int{}, map[string]int{}, map[string]bool{}
	var workers, askers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				key, ok := s.next(ctx)
				if !ok {
					return
				}
				mu.Lock()
				if busy[key] {
					t.Errorf("%s is with two workers", key)
				}
				busy[key], seen[key] = true, asked[key]
				mu.Unlock()
				mu.Lock()
				busy[key] = false
				all := len(seen) == keys
				for k, n := range asked {
					all = all && n == asks && seen[k] == asks
				}
				mu.Unlock()
				s.done(key, 0, false)
				if all {
					cancel()
				}
			}
		})
	}
	for i := range keys {
		askers.Go(func() {
			key := fmt.Sprint(i)
			for range asks {
				mu.Lock()
				asked[key]++
				mu.Unlock()
				s.add(key, 0)
			}
		})
	}
	askers.Wait()
	workers.Wait()
	for i := range keys {
		if key := fmt.Sprint(i); seen[key] != asks {
			t.Errorf("%s was last seen after %d of %d asks", key, seen[key], asks)
		}
	}
}
