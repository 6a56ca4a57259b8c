package bridge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

const patience = 20 * time.Second

// cluster is a Kubernetes whose objects a test sets. It may keep from its cache what it has.
type cluster struct {
	mu     sync.Mutex
	job    map[string]*batchv1.Job
	pods   map[string][]*corev1.Pod
	hidden bool // the cache has not seen anything yet
	asked  int  // past the cache
	looks  int  // past it or not

	unlisted map[string]bool // without KEDA's label
	change   chan string
}

func newCluster() *cluster {
	return &cluster{job: map[string]*batchv1.Job{}, pods: map[string][]*corev1.Pod{}, unlisted: map[string]bool{}, change: make(chan string, 100)}
}

func (c *cluster) set(v View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.job[v.UID], c.pods[v.UID] = v.Job, v.Pods
	c.change <- v.UID
}

func (c *cluster) Unit(_ context.Context, namespace, name, uid string, fresh bool) (*batchv1.Job, []*corev1.Pod, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	if fresh {
		c.asked++
	}
	if c.hidden && !fresh {
		return nil, nil, nil
	}
	return c.job[uid], c.pods[uid], nil
}

func (c *cluster) Units(context.Context) (all []*batchv1.Job, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, j := range c.job {
		if j != nil && !c.unlisted[uid] {
			all = append(all, j)
		}
	}
	return all, nil
}

func (c *cluster) askedFor() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func (c *cluster) looked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looks
}

func (c *cluster) Watch(ctx context.Context, notify func(namespace, name, uid string)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case uid := <-c.change:
			notify("jobs", "processor-default-x7k2m", uid)
		}
	}
}

// bench is a bridge over a real NATS and a cluster of the test's own.
type bench struct {
	t       *testing.T
	stream  *stream.Stream
	bucket  *stream.Bucket
	cluster *cluster
	clock   *clockwork.FakeClock
	step    time.Duration // by which until moves the clock at each look
	o       Options
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := testenv.NATS(t)
	bucket, err := s.Bucket(t.Context(), contract.BucketClaims)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := s.Bucket(t.Context(), contract.BucketJobs)
	if err != nil {
		t.Fatal(err)
	}
	c, clock := newCluster(), clockwork.NewFakeClockAt(time.Date(2026, 11, 21, 10, 1, 0, 0, time.UTC))
	return &bench{t: t, stream: s, bucket: bucket, cluster: c, clock: clock, step: 100 * time.Millisecond, o: Options{
		Cluster: "prod-eu", Namespaces: []string{"jobs"}, Kubernetes: c, Claims: bucket, Events: s,
		Ledger: jobs, Clock: clock, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Sweep: time.Hour,
	}}
}

// run runs a bridge until the test ends or stop is called.
func (b *bench) run() (bridge *Bridge, stop func()) {
	b.t.Helper()
	bridge, err := New(b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bridge.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return bridge, stop
}

// put writes the claim of a view, and its run record where it has one.
func (b *bench) put(v View) {
	b.t.Helper()
	value, err := v.Claim.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.bucket.Put(b.t.Context(), contract.UnitKey(v.Queue, v.UID), value); err != nil {
		b.t.Fatal(err)
	}
	if v.Run == nil {
		return
	}
	if value, err = v.Run.Encode(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.bucket.Put(b.t.Context(), contract.RunKey(v.Queue, v.Claim.JobID, v.Claim.Run), value); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) claim(v View) contract.UnitRecord {
	b.t.Helper()
	e, err := b.bucket.Get(b.t.Context(), contract.UnitKey(v.Queue, v.UID))
	if err != nil {
		b.t.Fatal(err)
	}
	u, err := contract.DecodeUnit(e.Value)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// said lists what is on the stream, as run/attempt/event.
func (b *bench) said() []string {
	b.t.Helper()
	info, err := b.stream.Info(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for seq := info.First; seq <= info.Last && info.Last > 0; seq++ {
		e, err := b.stream.Event(b.t.Context(), seq)
		if err != nil {
			b.t.Fatal(err)
		}
		ids = append(ids, strings.TrimPrefix(e.Event.ID(), e.Event.JobID+"/"))
	}
	return ids
}

// reread is a bucket that is made anew while it is watched for the first time.
type reread struct {
	Ledger
	once sync.Once
}

func (r *reread) Watch(ctx context.Context, filter string, fn func(stream.Entry) error, loaded func() error) (err error) {
	r.once.Do(func() { err = stream.ErrAnew })
	if err != nil {
		return err
	}
	return r.Ledger.Watch(ctx, filter, fn, loaded)
}

// until looks again and again until ok, and moves the clock.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-late:
			b.t.Fatalf("waited %s for: %s; said %v", patience, what, b.said())
		case <-tick.C:
		}
		b.clock.Advance(b.step)
	}
}

var exit1Said = []string{"1/1/claimed", "1/1/attempt-failed", "1/2/attempt-failed", "1/3/attempt-failed", "1/0/failed"}

func TestRecordsFirstAndSaysThen(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/exit1-thrice-1.33.yaml")
	b.put(v)
	b.cluster.set(v)
	_, stop := b.run()
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	if u := b.claim(v); u.Outcome != contract.OutcomeFailed || u.Reason != contract.AppExit || u.Task == nil {
		t.Errorf("claim %+v", u)
	}
	if d := cmp.Diff(exit1Said, b.said()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	stop()
	b.cluster.set(v) // a restart lists everything again
	var sent counting
	sent.Events = b.stream
	b.o.Events = &sent
	b.run()
	b.until("the new bridge to have looked", func() bool { return sent.count() >= 3 })
	if d := cmp.Diff(exit1Said, b.said()); d != "" {
		t.Errorf("after a restart (-want +got):\n%s", d)
	}
}

// counting counts what is published.
type counting struct {
	Events
	mu sync.Mutex
	n  int
}

func (c *counting) Publish(ctx context.Context, e contract.Event) (uint64, error) {
	seq, err := c.Events.Publish(ctx, e)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return seq, err
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func TestFindsClaimsWhoseUnitIsGone(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/job-deleted-1.34.yaml")
	b.put(v) // and no notice of any kind
	b.run()
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	if u := b.claim(v); u.Reason != contract.Deleted {
		t.Errorf("reason %s, want Deleted", u.Reason)
	}
	if b.cluster.askedFor() == 0 {
		t.Error("a unit was called gone that nobody had asked for past the cache")
	}
}

func TestAsksPastTheCacheBeforeCallingAUnitGone(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/running-1.35.yaml")
	b.cluster.hidden = true
	b.put(v)
	b.cluster.set(v)
	other := readView(t, "testdata/units/job-deleted-1.34.yaml")
	other.UID, other.Claim.Unit = "a-second-unit", "a-second-unit" // its end shows that the first was looked at
	b.put(other)
	b.run()
	b.until("the other claim to be said", func() bool { return b.claim(other).Said })
	b.until("the first to be asked for", func() bool { return b.cluster.askedFor() >= 2 })
	if u := b.claim(v); u.State != contract.Owned {
		t.Errorf("the claim of a unit that runs is %s", u.State)
	}
}

func TestLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var others []View
	for i, change := range []func(*contract.UnitRecord){
		func(u *contract.UnitRecord) { u.Cluster = "prod-us" },
		func(u *contract.UnitRecord) { u.Namespace = "elsewhere" },
		func(u *contract.UnitRecord) { u.Cluster = "" },
	} {
		v := readView(t, "testdata/units/job-deleted-1.34.yaml")
		v.UID = "unit-" + string(rune('a'+i))
		v.Claim.Unit = v.UID
		change(v.Claim)
		b.put(v)
		others = append(others, v)
	}
	mine := readView(t, "testdata/units/job-deleted-1.34.yaml")
	b.put(mine)
	b.run()
	b.until("our claim to be said", func() bool { return b.claim(mine).Said })
	for _, v := range others {
		if u := b.claim(v); u.State != contract.Owned {
			t.Errorf("the claim of %s/%s was %s", u.Cluster, u.Namespace, u.State)
		}
	}
}

func TestIntentWaitsForItsRunRecord(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/intent-none-1.31.yaml")
	b.step = time.Second
	b.put(v)
	b.cluster.set(v)
	b.run()
	b.until("the intent to be closed", func() bool { return b.claim(v).State == contract.Closed })
	if u := b.claim(v); u.Said {
		t.Fatal("said, though nobody owns the run")
	}
	// A pod that Kubernetes took for gone makes the unit the run's owner after all.
	v.Run = &contract.RunRecord{Owner: v.UID}
	closed := b.claim(v)
	v.Claim = &closed
	b.put(v)
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	if !slices.Contains(b.said(), "1/0/failed") {
		t.Errorf("said %v", b.said())
	}
}

// A claim removes its intent where the run is another's; nobody has to look at that unit every minute for ever.
func TestForgetsAnIntentThatWasRemoved(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/running-1.35.yaml")
	v.Claim.State, v.Claim.Attempts, v.Run = contract.Intent, nil, nil
	b.put(v)
	b.cluster.set(v)
	bridge, _ := b.run()
	open := func() bool { return len(bridge.books.due(b.clock.Now())) > 0 }
	b.until("the intent to be in the books", open)
	e, err := b.bucket.Get(t.Context(), contract.UnitKey(v.Queue, v.UID))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.bucket.Delete(t.Context(), e.Key, e.Revision); err != nil {
		t.Fatal(err)
	}
	b.until("the intent to be forgotten", func() bool { return !open() })
}

// racer lets somebody else write first, once.
type racer struct {
	Claims
	once  sync.Once
	first func(key string, revision uint64)
}

func (r *racer) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	r.once.Do(func() { r.first(key, revision) })
	return r.Claims.Update(ctx, key, value, revision)
}

func TestLosesTheRaceToTheProcessor(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/exit1-thrice-1.33.yaml")
	b.o.Claims = &racer{Claims: b.bucket, first: func(key string, revision uint64) {
		u := *v.Claim
		u.State, u.Outcome, u.OutcomeAttempt, u.ClosedAt, u.Said = contract.Closed, contract.OutcomeSucceeded, 3, contract.At(v.Now), true
		value, err := u.Encode()
		if err != nil {
			t.Error(err)
		}
		if _, err := b.bucket.Update(context.Background(), key, value, revision); err != nil {
			t.Error(err)
		}
	}}
	b.put(v)
	b.cluster.set(v)
	b.run()
	b.until("the failed attempts to be said", func() bool { return len(b.said()) >= 2 })
	if u := b.claim(v); u.Outcome != contract.OutcomeSucceeded {
		t.Errorf("outcome %s, want what the processor wrote", u.Outcome)
	}
	if d := cmp.Diff([]string{"1/1/claimed", "1/1/attempt-failed", "1/2/attempt-failed"}, b.said()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// deaf fails the first publishings, some of them after the stream has the event.
type deaf struct {
	Events
	mu   sync.Mutex
	left int
}

func (d *deaf) Publish(ctx context.Context, e contract.Event) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 {
		return d.Events.Publish(ctx, e)
	}
	d.left--
	if d.left%2 == 0 {
		if _, err := d.Events.Publish(ctx, e); err != nil {
			return 0, err
		}
	}
	return 0, errors.Join(stream.ErrUnavailable, errors.New("the ack was lost"))
}

func TestSaysUntilAcknowledged(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/exit1-thrice-1.33.yaml")
	b.o.Events = &deaf{Events: b.stream, left: 5}
	b.put(v)
	b.cluster.set(v)
	b.run()
	b.until("the claim to be said", func() bool { return b.claim(v).Said })
	if d := cmp.Diff(exit1Said, b.said()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCutsToAStub(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/success-1.36.yaml")
	b.step, b.o.Sweep = time.Minute, time.Minute
	b.put(v)
	b.cluster.set(v)
	b.run()
	b.until("the record to be cut", func() bool { return b.claim(v).Task == nil })
	if gone := b.clock.Now().Sub(v.Claim.ClosedAt.Time); gone < stubAfter {
		t.Errorf("cut %s after it was closed", gone)
	}
	if u := b.claim(v); u.State != contract.Closed || u.Outcome != contract.OutcomeSucceeded || !u.Said {
		t.Errorf("the stub is %+v", u)
	}
}

func TestSayAll(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/stub-1.36.yaml") // a unit long gone
	w := readView(t, "testdata/units/succeeded-unsaid-1.36.yaml")
	w.UID, w.Claim.Unit, w.Claim.Said = "a-second-unit", "a-second-unit", true
	b.put(v)
	b.put(w)
	bridge, _ := b.run()
	if err := bridge.SayAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"1/0/submitted", "1/1/claimed", "1/1/succeeded"} // both are of one job and run
	b.until("all to be said", func() bool {
		got := b.said()
		return !slices.ContainsFunc(want, func(id string) bool { return !slices.Contains(got, id) })
	})
}

// What the stream lost, the claims still hold: when the ledger finds a gap, they are said again.
func TestAGapInTheLedgerSaysAllAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := readView(t, "testdata/units/succeeded-unsaid-1.36.yaml")
	w.Claim.Said = true
	b.put(w)
	b.o.Ledger = &reread{Ledger: b.o.Ledger} // the books may be made anew at any time
	b.run()
	jobs, err := b.stream.Bucket(t.Context(), contract.BucketJobs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jobs.Put(t.Context(), contract.KeyStats, []byte(`{"balance":{"gap":true,"gapAt":7,"gapTo":9}}`)); err != nil {
		t.Fatal(err)
	}
	b.until("the outcome to be said again", func() bool { return slices.Contains(b.said(), "1/1/succeeded") })
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Namespaces: []string{"a b"}, Workers: 1000, Sweep: time.Millisecond})
	for _, field := range []string{"Cluster", "Namespaces", "Kubernetes", "Claims", "Events", "Ledger", "Workers", "Sweep"} {
		if err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s is bad and not named in: %v", field, err)
		}
	}
}
