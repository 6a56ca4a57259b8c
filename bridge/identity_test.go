package bridge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
)

// somewhere is a cluster that a test may swap for another, or cut off.
type somewhere struct {
	mu    sync.Mutex
	uid   string
	err   error
	asked int
}

func (s *somewhere) ClusterUID(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.uid, s.err
}

func (s *somewhere) become(uid string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uid, s.err = uid, err
}

// lines is a log that a test can read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// with counts the lines that hold a text.
func (l *lines) with(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// guarded makes a bench whose bridge asks which cluster it is in.
func guarded(t *testing.T) (*bench, *somewhere, *lines) {
	t.Helper()
	b, where, log := newBench(t), &somewhere{uid: "uid-of-prod"}, new(lines)
	b.o.ClusterUID, b.o.Marks = where, b.bucket
	b.o.Log = slog.New(slog.NewTextHandler(log, nil))
	return b, where, log
}

// TestAnotherClusterIsNotJudged gives the bridge the kubeconfig of another cluster, in which every unit looks
// gone: no claim is closed, until the record is removed.
func TestAnotherClusterIsNotJudged(t *testing.T) {
	t.Parallel()
	b, where, log := guarded(t)
	_, stop := b.run()
	key := contract.ClusterKey("prod-eu")
	first, err := New(b.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	where.become("uid-of-test", nil)
	v := readView(t, "testdata/units/job-deleted-1.34.yaml")
	b.put(v)
	bridge, _ := b.run()
	b.until("the fault to be named", func() bool { return log.with("this is another cluster") > 0 })
	for range 20 { // units come again and again, later each time
		asked := b.cluster.askedFor()
		bridge.schedule.add(v.UID, 0)
		b.clock.Advance(time.Second)
		if b.cluster.askedFor() != asked {
			t.Fatal("a unit was looked for in another cluster")
		}
	}
	if u := b.claim(v); u.State != contract.Owned {
		t.Fatalf("the claim is %s in another cluster", u.State)
	}
	if n := log.with("this is another cluster"); n != 1 {
		t.Errorf("the fault was named %d times", n)
	}
	err = bridge.Ready(t.Context())
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "nats kv del claims "+key) {
		t.Errorf("ready says %v", err)
	}
	e, err := b.bucket.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.bucket.Delete(t.Context(), key, e.Revision); err != nil {
		t.Fatal(err)
	}
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	if err := bridge.Ready(t.Context()); err != nil {
		t.Errorf("mended, and it says %v", err)
	}
}

// TestGoneIsAskedOfTheSameCluster has the cluster change behind the bridge's back, after it was certain.
func TestGoneIsAskedOfTheSameCluster(t *testing.T) {
	t.Parallel()
	b, where, log := guarded(t)
	bridge, _ := b.run()
	if err := bridge.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(sureOfGoneFor + time.Second) // yet within sureFor
	where.become("uid-of-test", nil)
	v := readView(t, "testdata/units/job-deleted-1.34.yaml")
	b.put(v)
	b.step = 10 * time.Millisecond
	b.until("the unit to be looked for", func() bool {
		bridge.schedule.add(v.UID, 0)
		return log.with("this is another cluster") > 0
	})
	if u := b.claim(v); u.State != contract.Owned {
		t.Errorf("the claim is %s in another cluster", u.State)
	}
}

// Where nobody can be asked, what was certain stays so for units that are there, and for no unit that is gone.
func TestAnAbsentAnswerIsNoOtherCluster(t *testing.T) {
	t.Parallel()
	b, where, _ := guarded(t)
	bridge, err := New(b.o)
	if err != nil {
		t.Fatal(err)
	}
	away := errors.Join(ErrAway, errors.New("connection refused"))
	where.become("", away)
	if err := bridge.Ready(t.Context()); !errors.Is(err, ErrAway) {
		t.Errorf("never certain: %v", err)
	}
	where.become("uid-of-prod", nil)
	b.clock.Advance(doubtFor)
	if err := bridge.Ready(t.Context()); err != nil {
		t.Errorf("the first time: %v", err)
	}
	where.become("", away)
	b.clock.Advance(time.Hour)
	if err := bridge.Ready(t.Context()); err != nil {
		t.Errorf("certain once: %v", err)
	}
	if err := bridge.identity.sure(t.Context(), sureOfGoneFor, true); !errors.Is(err, ErrAway) {
		t.Errorf("of one that is gone: %v", err)
	}
	if where.asked != 3 {
		t.Errorf("asked %d times, want 3", where.asked)
	}
}

// never answers before its ctx ends.
type never struct{}

func (never) ClusterUID(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// A question that was cut off is no answer, least of all yes.
func TestWhoIsCutOffIsNotSure(t *testing.T) {
	t.Parallel()
	b, _, _ := guarded(t)
	bridge, err := New(b.o)
	if err != nil {
		t.Fatal(err)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	bridge.identity.o.ClusterUID = never{}
	if err := bridge.Ready(cut); err == nil {
		t.Error("it is sure before anybody answered")
	}
	bridge.identity.o.ClusterUID = b.o.ClusterUID
	if err := bridge.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(sureOfGoneFor + time.Second)
	bridge.identity.o.ClusterUID = never{}
	if err := bridge.identity.sure(cut, sureOfGoneFor, true); err == nil {
		t.Error("it is sure of what is gone though nobody answered")
	}
}

// The bucket forgets what is old; the record is written again while anybody rests on it.
func TestTheMarkIsKeptYoung(t *testing.T) {
	t.Parallel()
	b, _, _ := guarded(t)
	b.clock.Advance(time.Until(b.clock.Now()) * -1) // the server's clock is the real one
	bridge, err := New(b.o)
	if err != nil {
		t.Fatal(err)
	}
	revision := func() uint64 {
		if err := bridge.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		e, err := b.bucket.Get(t.Context(), contract.ClusterKey("prod-eu"))
		if err != nil {
			t.Fatal(err)
		}
		return e.Revision
	}
	first := revision()
	b.clock.Advance(keepMark / 2)
	if got := revision(); got != first {
		t.Error("it is written again after half a day")
	}
	b.clock.Advance(keepMark)
	if got := revision(); got == first {
		t.Error("it is not written again after a day")
	}
}
