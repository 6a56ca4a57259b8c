package scheduler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		RelayEvery: -time.Second, QueuedAfter: -time.Second,
		Config: contract.Config{Queues: []contract.Queue{
			{Name: "a", DeadLetter: "http://sqs/dead"}, {Name: "b", URL: "http://sqs/b", DeadLetter: "http://sqs/dead"}, {Name: "c", URL: "http://sqs/c"},
			{Name: "d", URL: "http://sqs/d"},
		}},
	})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{
		"Lease is required", "Schedules is required", "Ledger is required", "Events is required", "Dispatcher is required",
		"Counter is required", "DeadLetters is required", "RelayEvery is -1s", "QueuedAfter is -1s", "queue a has no url",
		"queues a and b share a dead-letter queue",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %s", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 11 {
		t.Errorf("%d faults: %s", n, err)
	}
}

// TestALeaderDoesAllOfIt runs a whole scheduler behind a real lease, and another that must stand by.
func TestALeaderDoesAllOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.deadTask("dead")
	accepted := w.task("accepted")
	w.attention(list(w.item(accepted, w.submitted(accepted))), nil)
	w.clock.Advance(time.Minute)
	w.schedule("s", "* * * * *", minute(0))

	first, second := w.options(nil), w.options(&cut{left: 1})
	first.Lease = w.nats.Lease(contract.LeaseScheduler, "first")
	second.Lease = w.nats.Lease(contract.LeaseScheduler, "second")
	stop := w.run(first)
	w.fired("s", minute(1))
	standby := w.run(second)
	w.eventually("the sweep", func() bool { return w.runRecord(dead) == "failed ClaimError" && w.left().Empty() })
	w.eventually("the relay", func() bool { return strings.Count(w.said(), "queued") == 2 })
	stop()
	standby()
	sent := make(map[string]int)
	for _, task := range w.tasks() {
		sent[task.JobID]++
	}
	if len(sent) != 2 || sent[accepted.JobID] != 1 || sent[contract.TickID("s", minute(1))] != 1 {
		t.Errorf("%v", sent)
	}
}

func TestReadySaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	nats := testenv.Dial(t, srv)
	testenv.MakeStreams(t, nats)
	jobs, err := nats.Bucket(t.Context(), contract.BucketJobs)
	if err != nil {
		t.Fatal(err)
	}
	s := &Scheduler{o: Options{Ledger: jobs}, missing: newMissing(&Options{})}
	if err := s.Ready(t.Context()); !errors.Is(err, errNotLooked) {
		t.Errorf("before it has looked for the queues: %v", err)
	}
	if err := s.missing.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("a standby: %v", err)
	}
	s.loading.Store(true)
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "schedules") {
		t.Errorf("while it reads: %v", err)
	}
	srv.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Ready(ctx); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("without NATS: %v", err)
	}
}

func TestARoundThatFailsIsLoggedWhenItBeginsAndWhenItEnds(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := []error{nil, errCut, errCut, errCut, nil, nil}
	done := make(chan error, 1)
	go func() {
		done <- every(ctx, clock, slog.New(slog.NewTextHandler(&out, nil)), "round", time.Second, func(context.Context) error {
			if len(results) == 0 {
				cancel()
				return nil
			}
			err := results[0]
			results = results[1:]
			return err
		})
	}()
	for range 6 {
		if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), "works again") {
		t.Errorf("the log has %d lines:\n%s", n, out.String())
	}
}
