package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// teller gives a test's Kubernetes Events.
type teller struct{ events chan contract.Scaling }

func (k teller) WatchEvents(ctx context.Context, tell func(contract.Scaling)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-k.events:
			tell(e)
		}
	}
}

// choked is a stream that may not take any.
type choked struct {
	Scaling
	mu    sync.Mutex
	err   error
	tried int
}

func (c *choked) PublishScaling(ctx context.Context, e contract.Scaling) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried++
	if c.err != nil {
		return c.err
	}
	return c.Scaling.PublishScaling(ctx, e)
}

func (c *choked) free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = nil
}

func (c *choked) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tried
}

func told(uid string, count int) contract.Scaling {
	at := contract.At(time.Date(2026, 11, 21, 10, 0, count, 0, time.UTC))
	return contract.Scaling{
		UID: uid, Count: count, First: at, Last: at, Queue: "default", Severity: contract.Warning, Reason: "FailedScheduling",
		Namespace: "jobs", Kind: contract.KindPod, Name: "pod", ObjectUID: "uid-of-pod", Unit: "uid-of-unit",
	}
}

// mirrored lists what the stream holds, as UID and count.
func (b *bench) mirrored() (ids []string) {
	b.t.Helper()
	err := b.stream.Scaling(b.t.Context(), "default", time.Time{}, func(e contract.Scaling) error {
		if e.Cluster != "prod-eu" {
			b.t.Errorf("%s is of cluster %q", e.ID(), e.Cluster)
		}
		ids = append(ids, e.ID())
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return ids
}

// TestMirrorsKubernetesEvents lets the stream refuse them for a while: facts of jobs are said all the same,
// and what was said again meanwhile is mirrored as it is by then.
func TestMirrorsKubernetesEvents(t *testing.T) {
	t.Parallel()
	b, k := newBench(t), teller{make(chan contract.Scaling)}
	out := &choked{Scaling: b.stream, err: fmt.Errorf("publish: %w", stream.ErrUnavailable)}
	b.o.KubernetesEvents, b.o.Scaling = k, out
	v := readView(t, "testdata/units/exit1-thrice-1.33.yaml")
	b.put(v)
	b.run()
	k.events <- told("e1", 1)
	b.until("it to be refused", func() bool { return out.count() > 0 })
	k.events <- told("e2", 1)
	k.events <- told("e1", 2)
	bad := told("e3", 1)
	bad.Queue = "no token."
	k.events <- bad
	b.cluster.set(v)
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	out.free()
	b.until("two to be mirrored", func() bool { return len(b.mirrored()) >= 2 })
	k.events <- told("e1", 2) // a watch that began anew
	k.events <- told("e4", 1)
	b.until("the last to be mirrored", func() bool { return slices.Contains(b.mirrored(), "e4/1") })
	got := b.mirrored()
	slices.Sort(got)
	if d := cmp.Diff([]string{"e1/2", "e2/1", "e4/1"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestMirrorIsBounded holds its memory and its rate.
func TestMirrorIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	out := &choked{Scaling: b.stream}
	b.o.KubernetesEvents, b.o.Scaling = teller{}, out
	bridge, err := New(b.o)
	if err != nil {
		t.Fatal(err)
	}
	m := bridge.mirror
	for i := range 3 * maxMirrored {
		m.tell(told(fmt.Sprint("e", i), 1))
		m.tell(told(fmt.Sprint("e", i), 2))
	}
	if len(m.waiting) != maxMirrored || len(m.order) != maxMirrored {
		t.Errorf("%d wait in an order of %d, at most %d are allowed", len(m.waiting), len(m.order), maxMirrored)
	}
	e, ok := m.take()
	if !ok || e.ID() != fmt.Sprint("e", 2*maxMirrored, "/2") {
		t.Errorf("the oldest that is left is %s", e.ID())
	}
	m.giveBack(e)
	newer := told(e.UID, 3)
	if e, _ = m.take(); e.Count != 2 {
		t.Errorf("given back, %s is taken", e.ID())
	}
	m.tell(newer)
	m.giveBack(e)
	if m.waiting[e.UID].Count != 3 {
		t.Error("the older one took the newer one's place")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	began := b.clock.Now()
	go func() { done <- m.pass(ctx) }()
	b.step = mirrorEvery
	b.until("a hundred to be sent", func() bool { return out.count() >= 100 })
	if took := b.clock.Now().Sub(began); took < 98*mirrorEvery {
		t.Errorf("a hundred were sent within %s, one each %s is allowed", took, mirrorEvery)
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
