package main

import (
	"context"
	"fmt"
	"time"

	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

// kills is how often the leader is killed; the worst is told, beside the worst of as many where nobody was.
const kills = 4

// takeover kills the leader of two aggregators with no warning, says an event at once, and measures how long it
// takes until an api shows stats with it.
func takeover(ctx context.Context, t *figures.Table) error {
	w, err := newAlone(ctx)
	if err != nil {
		return err
	}
	defer func() { w.end() }()
	s, err := stream.Connect(ctx, stream.Options{URL: w.nats, Name: "bench"})
	if err != nil {
		return err
	}
	defer s.Close()
	leader, err := w.standby(ctx)
	if err != nil {
		return err
	}
	api, err := w.startAPI(ctx, nil)
	if err != nil {
		return err
	}
	w.children = append(w.children, leader, api)
	var worst, calm time.Duration
	for n := range kills {
		if err := w.counted(ctx, s, 3*n); err != nil { // it leads
			return err
		}
		began := time.Now()
		if err := w.counted(ctx, s, 3*n+1); err != nil {
			return err
		}
		calm = max(calm, time.Since(began))
		follower, err := w.standby(ctx)
		if err != nil {
			return err
		}
		w.children = append(w.children, follower)
		began = time.Now()
		if err := leader.cmd.Process.Kill(); err != nil {
			return err
		}
		if err := w.counted(ctx, s, 3*n+2); err != nil {
			return err
		}
		worst, leader = max(worst, time.Since(began)), follower
	}
	t.Add("aggregator: counting goes on after kill -9, the worst of 4, beside no kill", worst.Seconds(), "s", calm.Seconds(), figures.AtMost(5))
	return nil
}

// standby starts an aggregator and returns when it follows the ledger. The first of all leads; the next one
// stands by.
func (w *alone) standby(ctx context.Context) (*child, error) {
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := w.program(ctx, "aggregator", nil, "--admin", admin)
	if err != nil {
		return nil, err
	}
	if err := w.until(ctx, "http://"+admin+"/readyz"); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// counted says an event and waits until the stats that the api shows hold it.
func (w *alone) counted(ctx context.Context, s *stream.Stream, n int) error {
	seq, err := s.Publish(ctx, eventOf(n))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := w.stats(ctx)
		if err == nil && got.AsOf.Seq >= seq {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("event %d is not counted after %s: %w", seq, startWithin, err)
		case <-tick.C:
		}
	}
}
