package pipeline

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
)

const (
	stops         = 5
	wishesPerStop = 15
)

// SIGTERM under load, again and again: the program exits with 0, its children are stopped, and what they
// were at goes on in the next life as an attempt that spends no retry.
func TestNothingIsLostWhenItIsStopped(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	c := newChaos(t)
	c.p.start()
	ctx, cancel := context.WithCancel(t.Context())
	var reading, working sync.WaitGroup
	reading.Go(func() { c.readBooks(ctx) })
	wishes := make(chan wish, (stops+1)*wishesPerStop)
	for range clients {
		working.Go(func() { c.work(ctx, wishes) })
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for n := range stops {
		for i := range wishesPerStop {
			number := n*wishesPerStop + i
			wishes <- wish{number, rand.New(rand.NewPCG(seed, 2000+uint64(number)))}
		}
		until(c.p.world(), "work to interrupt", c.p.podProcesses, func(all []podProcess) bool { return len(all) > 2 })
		c.pause(time.Duration(r.IntN(500)) * time.Millisecond)
		if code := c.p.stop(); code != 0 {
			t.Errorf("exit %d", code)
		}
		if left := c.p.podProcesses(); len(left) > 0 {
			t.Errorf("it left children: %+v", left)
		}
		c.p.start()
	}
	close(wishes)
	working.Wait()
	c.rest()
	cancel()
	reading.Wait()
	c.judge() // nobody was killed, so every failed attempt is one that its work foretells
	t.Logf("%d attempts were interrupted; the next test makes sure of one in every life", c.p.world().stats().Attempts.Disrupted)
}

// The same with one job, to the letter.
func TestAStoppedAttemptSpendsNoRetry(t *testing.T) {
	t.Parallel()
	p := newProgram(t, "--backoff-scale", "0.01")
	p.start()
	const lives = 5
	id := p.world().post("probe", `{"target":"127.0.0.1","duration":"3"}`)
	for n := range lives {
		w := p.world()
		until(w, "the work", func() job { return w.get(id) }, func(j job) bool {
			return len(j.Attempts) == n+1 && !j.Attempts[n].StartedAt.IsZero()
		})
		if code := p.stop(); code != 0 {
			t.Errorf("exit %d", code)
		}
		p.start()
	}
	w := p.world()
	j := w.ended(id)
	if j.State != contract.StateSucceeded || len(j.Attempts) != lives+1 {
		t.Fatalf("%+v", j)
	}
	for _, a := range j.Attempts[:lives] {
		if a.Ending != contract.EndingDisrupted {
			t.Errorf("%+v", a)
		}
	}
	if s := w.atRest(1); s.FailedJob != 0 || s.JobRetry != 0 || s.Attempts.Disrupted != lives {
		t.Errorf("%+v", s.Attempts)
	}
}
