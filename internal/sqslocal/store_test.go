package sqslocal

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"
)

func newStore(t *testing.T) (*store, *clockwork.FakeClock) {
	t.Helper()
	clock := clockwork.NewFakeClock()
	s, err := openStore(t.Context(), Options{Clock: clock}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.shut(); err != nil {
			t.Error(err)
		}
	})
	within(t, s, func(x *tx) error { return x.createQueue("q", nil, nil) })
	return s, clock
}

func within(t *testing.T, s *store, work func(*tx) error) {
	t.Helper()
	if err := s.do(t.Context(), work); err != nil {
		t.Fatal(err)
	}
}

func put(x *tx, body string) error {
	return x.insert(x.queues["q"], message{id: uuid.New(), body: body}, 0)
}

func countOf(t *testing.T, s *store) (n counts) {
	t.Helper()
	within(t, s, func(x *tx) (err error) {
		n, err = x.count(x.queues["q"])
		return err
	})
	return n
}

// together runs works as one group, in their order: the first holds the store
// up until the others have queued behind it.
func together(t *testing.T, s *store, first func(*tx) error, others ...func(*tx) error) []error {
	t.Helper()
	faults := make([]error, 1+len(others))
	running, queued := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		faults[0] = s.do(context.WithoutCancel(t.Context()), func(x *tx) error {
			close(running)
			<-queued
			return first(x)
		})
	})
	<-running
	for i, work := range others {
		group.Go(func() { faults[i+1] = s.do(context.WithoutCancel(t.Context()), work) })
		awaitQueued(s, i+1)
	}
	close(queued)
	group.Wait()
	return faults
}

// shortly is a context for what has to have happened: the stores' clocks stand
// still, so that a wait in vain would be one without end.
func shortly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// awaitQueued waits until so many requests are queued behind the one that runs.
func awaitQueued(s *store, n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(s.work) < n {
		<-tick.C
	}
}

func TestBrokenWorkTakesItsGroupDown(t *testing.T) {
	t.Parallel()
	s, clock := newStore(t)
	waiting := make(chan error, 1)
	go func() {
		var p *poll
		err := s.do(t.Context(), func(x *tx) (err error) {
			p, err = x.join(t.Context(), x.queues["q"], receiveWish{most: 1})
			return err
		})
		if err == nil {
			_, err = s.await(t.Context(), p, time.Minute)
		}
		waiting <- err
	}()
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk is full")
	faults := together(t, s,
		func(x *tx) error { return put(x, "lost with its group") },
		func(x *tx) error { return x.setAttributes(x.queues["q"], map[string]string{"DelaySeconds": "7"}) },
		func(*tx) error { return broken },
	)
	for i, err := range faults {
		if !errors.Is(err, broken) {
			t.Errorf("request %d: error is %v, want %v", i, err, broken)
		}
	}
	if n := countOf(t, s); n != (counts{}) {
		t.Errorf("after the rollback the queue holds %+v", n)
	}
	within(t, s, func(x *tx) error {
		if got := x.queues["q"].setting("DelaySeconds"); got != "0" {
			t.Errorf("after the rollback DelaySeconds is %s", got)
		}
		return put(x, "after it")
	})
	if err := <-waiting; err != nil {
		t.Errorf("the poll that waited all the time: %v", err)
	}
}

func TestRefusalLeavesItsGroupAlone(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	faults := together(t, s,
		func(x *tx) error { return put(x, "stays") },
		func(*tx) error { return noSuchQueue() },
	)
	if faults[0] != nil || refusalOf(faults[1]) == nil {
		t.Errorf("errors are %v", faults)
	}
	if n := countOf(t, s); n.visible != 1 {
		t.Errorf("the queue holds %+v, want one visible", n)
	}
}

func TestWorkOfThoseWhoLeftIsNotDone(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	gone, leave := context.WithCancel(t.Context())
	running, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		<-running
		ended <- s.do(gone, func(x *tx) error { return put(x, "unwanted") })
	}()
	within(t, s, func(*tx) error {
		close(running)
		awaitQueued(s, 1) // the client asks, and leaves before its turn
		leave()
		return nil
	})
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if n := countOf(t, s); n != (counts{}) {
		t.Errorf("the queue holds %+v", n)
	}
}

// A message sent in the same group as the poll that found nothing must find the poll.
func TestPollIsServedByItsOwnGroup(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	var p *poll
	faults := together(t, s, func(x *tx) (err error) {
		p, err = x.join(t.Context(), x.queues["q"], receiveWish{most: 10})
		return err
	}, func(x *tx) error { return put(x, "a") }, func(x *tx) error { return put(x, "b") })
	if err := errors.Join(faults...); err != nil {
		t.Fatal(err)
	}
	got, err := s.await(shortly(t), p, time.Minute)
	if err != nil || len(got) != 2 {
		t.Errorf("the poll got %d messages and error %v, want both messages", len(got), err)
	}
}

func TestPollsAreServedInTheirOrder(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	var line [3]*poll
	within(t, s, func(x *tx) (err error) {
		for i := range line {
			if line[i], err = x.join(t.Context(), x.queues["q"], receiveWish{most: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	for i, p := range line {
		within(t, s, func(x *tx) error { return put(x, "x") })
		select {
		case <-p.done:
		default:
			t.Errorf("message %d did not go to the poll at the head of the line", i)
		}
	}
}

// What a receiver gives back goes to who waits, even where a queue was deleted
// in the same transaction.
func TestGivingBackWakesAPoll(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	var got []*delivery
	var p *poll
	within(t, s, func(x *tx) (err error) {
		if err := put(x, "wanted"); err != nil {
			return err
		}
		if got, err = x.receive(x.queues["q"], receiveWish{most: 1}); err != nil {
			return err
		}
		if err := x.createQueue("other", nil, nil); err != nil {
			return err
		}
		if _, err := x.join(t.Context(), x.queues["other"], receiveWish{most: 1}); err != nil {
			return err
		}
		p, err = x.join(t.Context(), x.queues["q"], receiveWish{most: 1})
		return err
	})
	faults := together(t, s,
		func(x *tx) error { return x.deleteQueue(x.queues["other"]) },
		func(x *tx) error { return x.putBack(got) })
	if err := errors.Join(faults...); err != nil {
		t.Fatal(err)
	}
	again, err := s.await(shortly(t), p, time.Minute)
	if err != nil || len(again) != 1 || again[0].receives != 1 {
		t.Errorf("the poll got %v and error %v, want the message, received once", again, err)
	}
}

// SQS lets 120,000 messages be in flight, here fewer: a short poll is refused
// then, and after a delete there is room again.
func TestInFlightLimit(t *testing.T) {
	t.Parallel()
	const limit = 57 // no multiple of what a receive takes
	s, _ := newStore(t)
	within(t, s, func(x *tx) error {
		x.limit = limit
		for range limit + 1 {
			if err := put(x, "x"); err != nil {
				return err
			}
		}
		return nil
	})
	var last *delivery
	within(t, s, func(x *tx) error {
		for {
			got, err := x.receive(x.queues["q"], receiveWish{most: maxReceive})
			if err != nil || len(got) == 0 {
				return err
			}
			last = got[0]
		}
	})
	if n := countOf(t, s); n.inFlight != limit || n.visible != 1 {
		t.Fatalf("the queue holds %+v, want %d in flight and one visible", n, limit)
	}
	c := &call{store: s, ctx: t.Context(), host: "localhost"}
	_, err := receiveMessage(c, &receiveMessageInput{QueueURL: "q"})
	if refusal := refusalOf(err); refusal == nil || refusal.Code() != "OverLimit" {
		t.Errorf("a receive at the limit: error is %v", err)
	}
	within(t, s, func(x *tx) error { return x.remove(x.queues["q"], last.receipt) })
	out, err := receiveMessage(c, &receiveMessageInput{QueueURL: "q"})
	if err != nil || len(out.Messages) != 1 {
		t.Errorf("a receive after a delete: %v and error %v", out, err)
	}
}

func TestRingOfDeadLetterQueuesEnds(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	policy := func(target string) map[string]string {
		return map[string]string{"RedrivePolicy": redrive{targetARN: s.address.arn(target), maxReceives: 1}.String()}
	}
	var polls []*poll
	within(t, s, func(x *tx) error {
		if err := x.createQueue("r", policy("q"), nil); err != nil {
			return err
		}
		if err := x.setAttributes(x.queues["q"], policy("r")); err != nil {
			return err
		}
		for _, name := range []string{"q", "r"} {
			p, err := x.join(t.Context(), x.queues[name], receiveWish{most: 1, visibility: new(int)})
			if err != nil {
				return err
			}
			polls = append(polls, p)
		}
		return put(x, "around and around")
	})
	if len(polls[0].got) != 1 {
		t.Errorf("the first poll got %d messages", len(polls[0].got))
	}
	within(t, s, func(*tx) error { return nil })
	within(t, s, func(x *tx) error {
		if stored := x.queues["q"].stored + x.queues["r"].stored; stored != 1 {
			t.Errorf("both queues hold %d messages, want 1", stored)
		}
		return nil
	})
}
