package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Two of each of ours, under load, and kill -9 of each that leads, one after the other: the books can be read all
// the time, counting goes on, and at the end every job has ended once and is counted once.
// It runs alone: where twelve programs get no share of the processor, nobody leads, and nothing is seen of a takeover.
func TestKillOneOfTwo(t *testing.T) {
	w := newWorld(t, true)
	ctx := t.Context() // each wait has an end of its own
	p := &pair{load: &load{w: w}, turns: make(map[string]*atomic.Bool)}
	for _, name := range []string{"api", "api2"} {
		p.turns[name] = new(atomic.Bool)
		p.turns[name].Store(true)
	}
	p.before(ctx, 1)
	loaded, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { p.postAll(loaded) })
	work.Go(func() { p.readAll(loaded) })
	p.findLeaders(ctx)
	for _, program := range []string{"aggregator", "bridge", "scheduler", "aggregator", "bridge"} {
		p.kill(ctx, p.leader(program), "fail")
	}
	p.kill(ctx, "api", "fail")
	p.kill(ctx, "api2", "fail")
	stop()
	work.Wait()
	w.awaitReady()
	p.rest()
	s, all := p.books()
	o := &oracle{l: p.load}
	for _, fault := range o.judge(s, all, p.told, p.history) {
		t.Error(fault)
	}
	p.audit()
	t.Logf("%d readings, jobs %+v, attempts %+v", p.readings, s.Jobs, s.Attempts)
}

// pair is the clients of two apis: who is not answered by the one asks the other, as a Service does, which knows
// by their readiness whom it may ask.
type pair struct {
	*load
	turns  map[string]*atomic.Bool // of each api, whether it is ready as far as is known
	posted atomic.Int64
	holder func(program string) (string, error) // of the lease of its leader
}

// either asks the apis that are ready, the one whose turn it is first. An error is that none answered.
func (p *pair) either(ctx context.Context, turn int, method, path, body string, header http.Header) (by string, status int, b []byte, err error) {
	names := []string{"api", "api2"}
	for i := range names {
		by = names[(turn+i)%2]
		if !p.turns[by].Load() {
			continue
		}
		if status, b, err = p.ask(ctx, method, "http://"+p.w.at(by)+path, body, header); err == nil {
			return by, status, b, nil
		}
	}
	return by, 0, nil, fmt.Errorf("neither api answers: %w", err)
}

// post submits a job, by its key until there is an answer. A client of a Service may be given to an api that was
// killed a moment ago; it asks again, as the same thing.
func (p *pair) post(ctx context.Context, n int, words string) (id string) {
	body, header := fmt.Sprintf(`{"type":"work","timeoutSeconds":20,"payload":%q}`, words), http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {fmt.Sprint("pair-", n)},
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for turn := n; ctx.Err() == nil; turn++ {
		_, status, b, err := p.either(ctx, turn, http.MethodPost, "/jobs", body, header)
		var got struct{ JobID string }
		if err == nil && status == http.StatusAccepted && json.Unmarshal(b, &got) == nil {
			p.add(got.JobID, words, false)
			return got.JobID
		}
		if err == nil && status != http.StatusServiceUnavailable {
			p.w.t.Errorf("POST /jobs: %d %s", status, b)
			return ""
		}
		pause(ctx, 50*time.Millisecond)
	}
	p.w.t.Errorf("job %d: no api took it within %s", n, patience)
	return ""
}

// postAll posts for as long as ctx lives.
func (p *pair) postAll(ctx context.Context) {
	words, tick := []string{"ok", "ok", "fail ok", "ok", "permanent", "fail", "slow"}, time.NewTicker(400*time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// One that is cut off by the end was not promised, and may exist all the same; so it is asked to its end.
		p.post(context.WithoutCancel(ctx), n, words[n%len(words)])
		p.posted.Add(1)
	}
}

// readAll reads the stats for as long as ctx lives: there is always an answer, it balances, and none of the apis
// goes back.
func (p *pair) readAll(ctx context.Context) {
	tick, last := time.NewTicker(25*time.Millisecond), make(map[string]uint64)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		by, status, b, err := p.either(context.WithoutCancel(ctx), n, http.MethodGet, "/jobs/stats", "", nil)
		var s contract.Stats
		if err != nil || status != http.StatusOK || json.Unmarshal(b, &s) != nil {
			p.w.t.Errorf("reading number %d: %d %.200s, %v", n, status, b, err)
			continue
		}
		p.readings++
		if fault := imbalance(&s); fault != "" {
			p.w.t.Error(fault)
		}
		if s.AsOf.Seq < last[by] {
			p.w.t.Errorf("the books of %s went back from sequence %d to %d", by, last[by], s.AsOf.Seq)
		}
		last[by] = s.AsOf.Seq
	}
}

// findLeaders makes leader work.
func (p *pair) findLeaders(ctx context.Context) {
	p.w.t.Helper()
	s, err := stream.Connect(ctx, stream.Options{URL: "nats://" + p.w.at("nats"), Name: "test"})
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.w.t.Cleanup(s.Close)
	leases, err := s.Bucket(ctx, contract.BucketLeases)
	if err != nil {
		p.w.t.Fatal(err)
	}
	keys := map[string]string{"aggregator": contract.LeaseLedger, "scheduler": contract.LeaseScheduler}
	p.holder = func(program string) (string, error) {
		if key := keys[program]; key != "" {
			e, err := leases.Get(ctx, key)
			return string(e.Value), err
		}
		var l coordinationv1.Lease
		err := p.w.get("http://"+p.w.at("kube")+strings.NewReplacer("{namespace}", namespace).Replace(leasePath)+"/"+leaseName, &l)
		if err != nil || l.Spec.HolderIdentity == nil {
			return "", fmt.Errorf("the Lease has no holder: %w", err)
		}
		return *l.Spec.HolderIdentity, nil
	}
}

// leader waits until one of two leads, which the lease tells by its process.
func (p *pair) leader(program string) (name string) {
	p.w.t.Helper()
	p.w.await("the leader of "+program, func() error {
		who, err := p.holder(program)
		if err != nil {
			return err
		}
		for _, name = range []string{program, program + "2"} {
			if strings.HasSuffix(who, fmt.Sprint("/", p.w.processes[name].pid())) {
				return nil
			}
		}
		return fmt.Errorf("%s holds it, who is none of ours", who)
	})
	return name
}

// pid of the life of now; 0 where there is none.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// kills numbers the jobs that are posted behind a kill.
const kills = 1000

// kill ends a program with no warning, posts a job behind it, and tells how long it took until another led, until
// that job was in the books, and how long after its end that was. Then the program comes back.
func (p *pair) kill(ctx context.Context, name, words string) {
	p.w.t.Helper()
	before := p.posted.Load()
	p.w.await("load", func() error {
		if p.posted.Load() < before+3 {
			return fmt.Errorf("%d posts", p.posted.Load()-before)
		}
		return nil
	})
	began := time.Now()
	p.w.processes[name].kill()
	id := p.post(ctx, kills+int(p.posted.Load()), words)
	var counted, late time.Duration
	p.w.await("job "+id+" behind the end of "+name, func() error {
		_, status, b, err := p.either(ctx, 0, http.MethodGet, "/jobs/"+id, "", nil)
		var j job
		if err != nil || status != http.StatusOK || json.Unmarshal(b, &j) != nil {
			return fmt.Errorf("%d %s, %w", status, b, err)
		}
		if counted == 0 {
			counted = time.Since(began)
		}
		if !j.State.Ended() {
			return fmt.Errorf("it is %s", j.State)
		}
		late = time.Since(j.EndedAt)
		return nil
	})
	p.w.t.Logf("kill -9 of %-11s: a job posted behind it is in the books after %.1f s; its end, %.1f s after it happened",
		name, counted.Seconds(), late.Seconds())
	if turn := p.turns[name]; turn != nil {
		turn.Store(false)
		defer turn.Store(true)
	}
	p.w.processes[name].start()
	p.w.awaitReady()
	if b, err := os.ReadFile(p.w.processes[name].log); err == nil && strings.Contains(string(b), "panic:") {
		p.w.t.Errorf("%s panicked", name)
	}
}
