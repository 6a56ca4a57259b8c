package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

const (
	kills         = 50
	wishesPerKill = 12
	clients       = 4
	seedVariable  = "TALLYMAN_TEST_SEED"
)

// seedOf is a new seed for each run of a test, printed, or the one that somebody wants to see again.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	return seed
}

// markerScript leaves a line for each attempt, and holds a lock that the kernel gives back when the last
// process that has it is gone: two attempts at the same time cannot both have it. It takes longer than the
// program needs to come back, so work that outlived the program would meet the next attempt.
const markerScript = `exec 9>>"$1/$TALLYMAN_JOB_ID.lock"
flock -n 9 || { echo "$TALLYMAN_JOB_ID/$TALLYMAN_RUN/$TALLYMAN_ATTEMPT" >>"$1/overlaps"; exit 65; }
echo "$TALLYMAN_RUN $TALLYMAN_ATTEMPT" >>"$1/$TALLYMAN_JOB_ID.runs"
sleep 2
echo done >>"$1/$TALLYMAN_JOB_ID.done"`

// chaos is the program under load, and what is known of it from outside.
type chaos struct {
	t       *testing.T
	p       *program
	m       *model
	markers string
}

// kill -9 of the whole program and of processors, at any moment and under load, [B17]: the books balance at
// every reading, every job that was answered for ends as it must, and none ever has two owners.
func TestNothingIsLostWhenAnythingIsKilled(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	c := newChaos(t)
	c.p.start()
	ctx, cancel := context.WithCancel(t.Context())
	var reading, working sync.WaitGroup
	reading.Go(func() { c.readBooks(ctx) })
	wishes := make(chan wish, kills*wishesPerKill)
	for range clients {
		working.Go(func() { c.work(ctx, wishes) })
	}
	c.rage(rand.New(rand.NewPCG(seed, 1)), seed, wishes)
	close(wishes)
	working.Wait()
	c.rest()
	cancel()
	reading.Wait()
	c.judge()
}

func newChaos(t *testing.T) *chaos {
	t.Helper()
	markers := t.TempDir()
	config := contract.DevConfig()
	q := &config.Queues[0]
	q.DefaultType, q.Visibility = "process-data", contract.Duration(5*time.Second)
	q.Types = append(q.Types, contract.JobType{
		Name: "marker", Command: []string{"sh", "-c", markerScript, "sh", markers}, Timeout: q.Timeout,
	})
	p := newProgram(t, "--config", writeConfig(t, config), "--backoff-scale", "0.01")
	return &chaos{t: t, p: p, m: newModel(), markers: markers}
}

func writeConfig(t *testing.T, c contract.Config) string {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, dir, "config.yaml", string(b))
	return filepath.Join(dir, "config.yaml")
}

func (c *chaos) work(ctx context.Context, wishes <-chan wish) {
	worker := &client{c.p, c.m}
	for w := range wishes {
		if err := worker.fulfil(ctx, w); err != nil {
			c.t.Errorf("wish %d: %v", w.number, err)
			return
		}
	}
}

// rage kills, again and again, and lets the load grow in between. Now and then it waits until the ledger
// has moved, since a leader that is killed needs some seconds to have a successor.
func (c *chaos) rage(r *rand.Rand, seed uint64, wishes chan<- wish) {
	count := make(map[string]int)
	number := 0
	for n := 0; n < kills; {
		for range wishesPerKill {
			wishes <- wish{number, rand.New(rand.NewPCG(seed, 1000+uint64(number)))}
			number++
		}
		if r.IntN(6) == 0 {
			c.awaitCommit()
		}
		c.pause(time.Duration(r.IntN(700)) * time.Millisecond)
		what := "program"
		if r.IntN(2) == 0 {
			what = c.killProcessor(r)
		} else {
			c.p.kill()
			c.p.start()
		}
		count[what]++
		if what != nobody {
			n++
		}
	}
	c.t.Logf("killed: %v, after %d wishes", count, number)
}

func (c *chaos) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.t.Context().Done():
	}
}

// nobody was there to be killed: all that was wished for is done.
const nobody = "nobody"

// killProcessor kills one process of a pod and says which.
func (c *chaos) killProcessor(r *rand.Rand) string {
	c.t.Helper()
	found := c.p.podProcesses()
	if len(found) == 0 {
		return nobody
	}
	victim := found[r.IntN(len(found))]
	c.m.killed[victim.pod] = true
	_ = syscall.Kill(victim.pid, syscall.SIGKILL) // it may have ended meanwhile
	return victim.command
}

func (c *chaos) awaitCommit() {
	c.t.Helper()
	w := c.p.world()
	before := w.stats().AsOf.Seq
	until(w, "a commit of the ledger", w.stats, func(s contract.Stats) bool { return s.AsOf.Seq > before })
}

// readBooks reads the stats for as long as ctx lives: they may be old, but they always balance, and never
// go back.
func (c *chaos) readBooks(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	readings, last := 0, uint64(0)
	for {
		select {
		case <-ctx.Done():
			c.t.Logf("%d readings of the stats, to sequence %d", readings, last)
			if readings == 0 {
				c.t.Error("nobody ever read the stats")
			}
			return
		case <-tick.C:
		}
		status, b, err := ask(ctx, http.MethodGet, c.p.addresses().API+"/jobs/stats", "", nil)
		if err != nil || status == http.StatusServiceUnavailable {
			continue
		}
		var s contract.Stats
		if err := json.Unmarshal(b, &s); err != nil || status != http.StatusOK {
			c.t.Errorf("GET /jobs/stats: %d %s: %v", status, b, err)
			continue
		}
		readings++
		if fault := imbalance(&s); fault != "" {
			c.t.Error(fault)
		}
		if s.AsOf.Seq < last {
			c.t.Errorf("the books went back from sequence %d to %d", last, s.AsOf.Seq)
		}
		last = s.AsOf.Seq
	}
}

// rest waits until everything that was promised has ended.
func (c *chaos) rest() {
	c.t.Helper()
	w := c.p.world()
	for _, p := range c.m.promises {
		until(w, "the end of run "+fmt.Sprint(p.runs)+" of job "+p.id+" ("+p.labour+")", func() string {
			_, b := w.do(http.MethodGet, "/jobs/"+p.id, "")
			return string(b)
		}, func(b string) bool {
			var j job
			return json.Unmarshal([]byte(b), &j) == nil && j.Run >= p.runs && j.State.Ended()
		})
	}
	until(w, "nothing under way", w.stats, func(s contract.Stats) bool {
		j := s.Jobs
		return j.Accepted+j.Queued+j.Running+j.Retrying == 0 && s.Attempts.Running == 0
	})
}

// judge holds what became of everything to what was promised, by the model, by the events, and by the
// traces that the work left outside of Tallyman.
func (c *chaos) judge() {
	c.t.Helper()
	w := c.p.world()
	h := readHistory(c.t, w.NATS)
	h.oneOwner(c.t)
	if h.unread > 0 {
		c.t.Errorf("%d events cannot be read", h.unread)
	}
	known := make(map[string]bool)
	for _, p := range c.m.promises {
		known[p.id] = true
		c.judgePromise(p, h)
	}
	strangers := 0
	for id := range h.jobs {
		if !known[id] {
			strangers++
		}
	}
	if strangers > c.m.lost {
		c.t.Errorf("%d jobs that nobody asked for; only %d messages were sent without an answer", strangers, c.m.lost)
	}
	c.judgeBooks(h, w.stats())
	c.judgeMarkers(h)
}

func (c *chaos) judgePromise(p *promise, h *history) {
	c.t.Helper()
	runs := h.jobs[p.id]
	if len(runs) != p.runs {
		c.t.Errorf("job %s (%s) has %d runs, %d were asked for", p.id, p.labour, len(runs), p.runs)
	}
	for n, r := range runs {
		name := fmt.Sprintf("run %d of job %s (%s %s)", n, p.id, p.labour, p.payload)
		if p.barred[n] && (!r.outcomes[contract.CancelledKind] || len(r.attempts) > 0) {
			c.t.Errorf("%s was cancelled before anybody had it: %v, attempts %d", name, r.outcomes, len(r.attempts))
		}
		final := false
		for m, a := range r.attempts {
			v := labours()[p.labour].ends(p.payload, m)
			final = final || v.final && a.began // its pod may have been lost between its record and its word
			c.judgeAttempt(fmt.Sprintf("attempt %d of %s", m, name), v, a, p.asked)
		}
		switch {
		case r.outcomes[contract.CancelledKind] && !p.asked:
			c.t.Errorf("%s was cancelled, and nobody asked for it", name)
		case r.outcomes[contract.Failed] && !final && c.failures(r, h) < 3 && r.reason != contract.ClaimError:
			c.t.Errorf("%s failed (%s) with %d failures: %+v", name, r.reason, c.failures(r, h), r.attempts)
		}
	}
}

// failures is how many pods of a run's unit ended badly, those among them that never came to claim.
func (c *chaos) failures(r *runHistory, h *history) int {
	n := 0
	for unit := range r.owners {
		n += len(h.pods[unit])
	}
	return n
}

func (c *chaos) judgeAttempt(name string, v verdict, a *attemptHistory, asked bool) {
	c.t.Helper()
	killed := false
	for pod := range a.pods {
		killed = killed || c.m.killed[pod]
	}
	switch e := a.ending(); {
	case e == contract.EndingSucceeded && !v.good:
		c.t.Errorf("%s succeeded, and must not", name)
	case e == contract.EndingFailed && !killed && (v.good || !a.reasons[v.reason]):
		c.t.Errorf("%s failed with %v, %+v was expected", name, a.reasons, v)
	case e == contract.EndingSuperseded && !asked:
		c.t.Errorf("nobody said how %s ended: %v", name, a.said)
	}
}

func (c *chaos) judgeBooks(h *history, s contract.Stats) {
	c.t.Helper()
	if fault := imbalance(&s); fault != "" {
		c.t.Error(fault)
	}
	got := contract.Sum{SucceedJob: s.SucceedJob, JobRetry: s.JobRetry, FailedJob: s.FailedJob, Jobs: s.Jobs, Attempts: s.Attempts}
	if d := cmp.Diff(h.sums(), got); d != "" {
		c.t.Errorf("the books are not what the events add up to:\n%s", d)
	}
	c.t.Logf("at rest: jobs %+v, attempts %+v, units %+v", s.Jobs, s.Attempts, s.Units)
}

// judgeMarkers looks at what the attempts did to the world: never two at a time, numbers that only grow,
// and a success only where the work came to its end.
func (c *chaos) judgeMarkers(h *history) {
	c.t.Helper()
	if b, err := os.ReadFile(filepath.Join(c.markers, "overlaps")); err == nil {
		c.t.Errorf("two attempts at the same time: %s", b)
	}
	seen := 0
	for _, p := range c.m.promises {
		if p.labour != "marker" {
			continue
		}
		lines := linesOf(filepath.Join(c.markers, p.id+".runs"))
		seen += len(lines)
		last := 0
		for _, line := range lines {
			run, attempt, _ := strings.Cut(line, " ")
			r, err1 := strconv.Atoi(run)
			a, err2 := strconv.Atoi(attempt)
			if now := r*1000 + a; err1 != nil || err2 != nil || now <= last {
				c.t.Errorf("job %s: its fencing numbers do not grow: %q", p.id, lines)
			} else {
				last = now
			}
		}
		succeeded := 0
		for _, r := range h.jobs[p.id] {
			if r.outcomes[contract.Succeeded] {
				succeeded++
			}
		}
		if done := len(linesOf(filepath.Join(c.markers, p.id+".done"))); done < succeeded {
			c.t.Errorf("job %s succeeded %d times, and its work came to its end %d times", p.id, succeeded, done)
		}
	}
	if seen == 0 {
		c.t.Error("no marker was ever set")
	}
}

func linesOf(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil // no attempt came so far
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}
