package bridge

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// throne lets a test say who leads.
type throne struct{ terms chan context.Context }

func (th throne) Run(ctx context.Context, lead func(context.Context) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case term := <-th.terms:
			both, cancel := context.WithCancel(ctx)
			stop := context.AfterFunc(term, cancel)
			err := lead(both)
			stop()
			cancel()
			if err != nil && both.Err() == nil {
				return err
			}
		}
	}
}

// atRestNow tells that no unit is to be looked at.
func atRestNow(b *Bridge) bool {
	b.schedule.mu.Lock()
	defer b.schedule.mu.Unlock()
	return len(b.schedule.byKey) == 0
}

// TestAStandbyWatchesAndSaysNothing has a unit end while nobody leads, and then makes the standby leader: it
// says all of it, and lists nothing for that.
func TestAStandbyWatchesAndSaysNothing(t *testing.T) {
	t.Parallel()
	b, v, th := newBench(t), readView(t, "testdata/units/exit1-thrice-1.33.yaml"), throne{make(chan context.Context)}
	b.o.Leader = th
	b.put(v)
	b.cluster.set(v)
	bridge, _ := b.run()
	b.until("the unit to be noticed", func() bool { p, ok := bridge.books.place(v.UID); return ok && p.name == v.Name })
	b.until("the standby to have looked", func() bool { return atRestNow(bridge) })
	if ids := b.said(); ids != nil || b.claim(v).Said {
		t.Fatalf("a standby said %v", ids)
	}
	gone := readView(t, "testdata/units/running-1.35.yaml") // of no queue's business: neither claim nor objects
	gone.UID, gone.Job, gone.Pods = "a-unit-without-claim", nil, nil
	b.cluster.set(gone)
	b.until("what is no more to be forgotten", func() bool { _, ok := bridge.books.place(gone.UID); return !ok })
	term, end := context.WithCancel(t.Context())
	th.terms <- term
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	if d := cmp.Diff(exit1Said, b.said()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	end()
	b.until("the term to end", func() bool { return !bridge.leading.Load() })
	w := readView(t, "testdata/units/exit1-thrice-1.33.yaml")
	w.UID, w.Claim.Unit = "a-second-unit", "a-second-unit"
	b.put(w)
	b.cluster.set(w)
	b.until("the second to be noticed", func() bool { _, ok := bridge.books.place(w.UID); return ok })
	th.terms <- t.Context()
	b.until("the second claim to be said", func() bool { return b.claim(w).Said })
}

// TestTwoLeadersSayTheSame has two lead at once, as may happen for a moment: it saves no work, and that is all.
func TestTwoLeadersSayTheSame(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/exit1-thrice-1.33.yaml")
	other := newCluster()
	b.put(v)
	b.cluster.set(v)
	other.set(v)
	b.run()
	b.o.Kubernetes = other
	b.run()
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	if d := cmp.Diff(exit1Said, b.said()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestAStandbyForgetsWhatTheLeaderCut has Kubernetes remove a unit whose claim still holds its task: only the stub,
// which the leader writes later, says that nobody needs the unit any more.
func TestAStandbyForgetsWhatTheLeaderCut(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/exit1-thrice-1.33.yaml")
	b.put(v)
	b.cluster.set(v)
	b.run()
	second := newCluster()
	second.set(v)
	b.o.Kubernetes, b.o.Leader = second, throne{make(chan context.Context)}
	standby, _ := b.run()
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	b.until("the standby to have heard of it", func() bool {
		standby.books.mu.Lock()
		defer standby.books.mu.Unlock()
		return !standby.books.open[v.UID].IsZero()
	})
	gone, looks := v, second.looked()
	gone.Job, gone.Pods = nil, nil
	second.set(gone)
	b.until("the standby to have looked", func() bool { return second.looked() > looks && atRestNow(standby) })
	if u := b.claim(v); u.Task == nil {
		t.Fatal("the claim was cut before the unit was gone")
	}
	b.clock.Advance(2 * stubAfter)
	b.cluster.set(gone)
	b.until("the claim to be cut", func() bool { return b.claim(v).Task == nil })
	b.until("the unit to be forgotten", func() bool { return len(standby.books.known()) == 0 })
}
