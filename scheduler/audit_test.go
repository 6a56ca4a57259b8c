package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

// audits is an auditor that does as a test says.
type audits struct {
	made chan struct{}
	say  chan error // nil: clean
}

var errOpen = errors.New("something is open")

func (a *audits) Round(ctx context.Context) (bool, error) {
	a.made <- struct{}{}
	switch err := <-a.say; {
	case errors.Is(err, errOpen):
		return false, nil
	default:
		return err == nil, err
	}
}

// A clean audit is made again after AuditEvery; any other, a minute later.
func TestAuditsAreMadeSoonerWhileAnythingIsOpen(t *testing.T) {
	t.Parallel()
	a, clock := &audits{make(chan struct{}), make(chan error)}, clockwork.NewFakeClock()
	s := &Scheduler{o: Options{Auditor: a, AuditEvery: 10 * time.Minute, Clock: clock, Log: slog.New(slog.DiscardHandler)}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.audit(ctx) }()
	<-a.made
	for _, c := range []struct {
		said error
		wait int // minutes
	}{{nil, 10}, {errOpen, 1}, {errors.New("NATS is away"), 1}, {nil, 10}} {
		a.say <- c.said
		for range c.wait - 1 {
			if err := clock.BlockUntilContext(ctx, 1); err != nil {
				t.Fatal(err)
			}
			clock.Advance(auditAgain)
			if err := clock.BlockUntilContext(ctx, 1); err != nil { // it waits again, so it made none
				t.Fatal(err)
			}
			select {
			case <-a.made:
				t.Fatalf("after %v: too soon", c.said)
			default:
			}
		}
		if err := clock.BlockUntilContext(ctx, 1); err != nil {
			t.Fatal(err)
		}
		clock.Advance(auditAgain)
		<-a.made
	}
	a.say <- nil
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
