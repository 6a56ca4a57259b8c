package kube

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	coordinationv1 "k8s.io/api/coordination/v1"
)

// candidate is one who asks for the Lease "bridge" until the test ends.
type candidate struct {
	*Lease
	leads atomic.Bool
	stop  func()
}

func candidacy(t *testing.T, c *cell, holder string, clock clockwork.Clock) *candidate {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	x := &candidate{Lease: NewLease(c.dial(), "tallyman", "bridge", holder, clock)}
	ended := make(chan error, 1)
	go func() {
		ended <- x.Run(ctx, func(ctx context.Context) error {
			x.leads.Store(true)
			defer x.leads.Store(false)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	x.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s ended with %v", holder, err)
		}
		ended <- context.Canceled
	}
	t.Cleanup(x.stop)
	return x
}

// passing moves a clock until ok.
func passing(t *testing.T, clock *clockwork.FakeClock, what string, ok func() bool) (took time.Duration) {
	t.Helper()
	began := clock.Now()
	until(t, what, func() bool {
		if ok() {
			return true
		}
		clock.Advance(100 * time.Millisecond)
		return false
	})
	return clock.Now().Sub(began)
}

func lease(c *cell) coordinationv1.LeaseSpec {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.objects["leases"]["tallyman/bridge"]; o != nil {
		return o.(*coordinationv1.Lease).Spec
	}
	return coordinationv1.LeaseSpec{}
}

// Counting goes on less than five seconds after a leader was killed; and one that cannot renew the Lease leads no
// more before another can, though its last requests are answered as late as may be.
func TestLeasesAreShort(t *testing.T) {
	t.Parallel()
	if within := leaseLife + 2*leaseLook; within >= 5*time.Second {
		t.Errorf("a leader that was killed is followed within %s", within)
	}
	if leaseGivenUp >= leaseLife || leaseLife%time.Second != 0 {
		t.Errorf("a leader that is not answered ends after %s, and the Lease lives for %s", leaseGivenUp, leaseLife)
	}
	if second := leaseEvery + leaseAsk + leaseLook; second+leaseAsk/2 >= leaseGivenUp {
		t.Errorf("a second request would begin after %s, and it is given up after %s", second, leaseGivenUp)
	}
}

func TestOneLeadsAndAnotherFollows(t *testing.T) {
	t.Parallel()
	c, clock := newCell(t, true), clockwork.NewFakeClockAt(noon)
	a := candidacy(t, c, "a", clock)
	passing(t, clock, "a to lead", a.leads.Load)
	b := candidacy(t, c, "b", clock)
	passing(t, clock, "b to stand by", func() bool { return b.Ready(t.Context()) == nil })
	if b.leads.Load() || value(lease(c).HolderIdentity) != "a" || value(lease(c).LeaseTransitions) != 1 {
		t.Errorf("b leads %v, the Lease is %+v", b.leads.Load(), lease(c))
	}
	a.stop() // in order: it gives the Lease up
	if took := passing(t, clock, "b to lead", b.leads.Load); took > leaseEvery+time.Second {
		t.Errorf("b leads %s after a had ended", took)
	}
	if s := lease(c); value(s.HolderIdentity) != "b" || value(s.LeaseTransitions) != 2 {
		t.Errorf("the Lease is %+v", s)
	}
}

func TestALeaseOutlivesWhoDoesNotRenewIt(t *testing.T) {
	t.Parallel()
	c, clock := newCell(t, true), clockwork.NewFakeClockAt(noon)
	holder, seconds := "dead", int32(leaseLife/time.Second)
	dead := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds}}
	dead.Namespace, dead.Name = "tallyman", "bridge"
	c.put(dead)
	a := candidacy(t, c, "a", clock)
	took := passing(t, clock, "a to lead", a.leads.Load)
	if took < leaseLife || took > leaseLife+2*leaseEvery {
		t.Errorf("it was taken %s after it was renewed last, want %s to %s", took, leaseLife, leaseLife+leaseEvery)
	}
}

// TestLeadsNoMoreBeforeAnotherCan has the API server refuse a leader: it must have stopped before the end of
// the Lease's life, and leads again when it is answered.
func TestLeadsNoMoreBeforeAnotherCan(t *testing.T) {
	t.Parallel()
	c, clock := newCell(t, true), clockwork.NewFakeClockAt(noon)
	a := candidacy(t, c, "a", clock)
	passing(t, clock, "a to lead", a.leads.Load)
	for _, verb := range []string{"get", "update"} {
		c.refuse(verb, "leases", forbidden(verb, "leases"))
	}
	if took := passing(t, clock, "a to lead no more", func() bool { return !a.leads.Load() }); took >= leaseLife {
		t.Errorf("it led for %s without a renewal, as long as the Lease lives", took)
	}
	err := a.Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "leases in namespace tallyman; the bridge needs get, create and update on leases") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("it says %v", err)
	}
	for _, verb := range []string{"get", "update"} {
		c.refuse(verb, "leases", nil)
	}
	passing(t, clock, "a to lead again", a.leads.Load)
	if err := a.Ready(t.Context()); err != nil {
		t.Errorf("it leads, and says %v", err)
	}
}

func TestStopsWhenAnotherTookTheLease(t *testing.T) {
	t.Parallel()
	c, clock := newCell(t, true), clockwork.NewFakeClockAt(noon)
	a := candidacy(t, c, "a", clock)
	passing(t, clock, "a to lead", a.leads.Load)
	thief, seconds := "thief", int32(leaseLife/time.Second)
	taken := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &thief, LeaseDurationSeconds: &seconds}}
	taken.Namespace, taken.Name = "tallyman", "bridge"
	c.put(taken)
	if took := passing(t, clock, "a to lead no more", func() bool { return !a.leads.Load() }); took > 2*leaseEvery {
		t.Errorf("it led on for %s", took)
	}
}

func TestAnErrorOfTheLeaderEndsIt(t *testing.T) {
	t.Parallel()
	c, boom := newCell(t, true), errors.New("boom")
	l := NewLease(c.dial(), "tallyman", "bridge", "a", nil)
	if err := l.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "not read yet") {
		t.Errorf("before Run: %v", err)
	}
	if err := l.Run(t.Context(), func(context.Context) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("it ended with %v", err)
	}
	if holder := value(lease(c).HolderIdentity); holder != "" {
		t.Errorf("the Lease is still %q's", holder)
	}
}
