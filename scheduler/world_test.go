package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/dispatch"
	"tallyman/internal/queue"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// world is NATS and SQS of the test's own, and a clock that the test moves.
type world struct {
	t         *testing.T
	clock     *clockwork.FakeClock
	nats      *stream.Stream
	sqs       *queue.Client
	faults    *sqslocal.Faults
	schedules *stream.Bucket
	jobs      *stream.Bucket
	claims    *stream.Bucket
	config    contract.Config
	receipts  []string // of what receiveAll has taken
}

// began is where the clock stands at first: a moment within a minute, as it always is.
func began() time.Time { return time.Date(2026, 11, 21, 16, 0, 20, 500_000_000, time.UTC) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clockwork.NewFakeClockAt(began()), nats: testenv.NATS(t), faults: sqslocal.NewFaults(1)}
	srv := testenv.SQS(t, sqslocal.Options{Faults: w.faults})
	w.sqs = testenv.QueueClient(t, srv)
	older := map[string]string{"MaximumMessageSize": "262144"} // the most that they could have for years
	w.config = contract.Config{Queues: []contract.Queue{{
		Name: "q", URL: testenv.Queue(t, srv, "q", older), DeadLetter: testenv.Queue(t, srv, "q-dead", nil),
		DefaultType: "probe", Retention: contract.DefaultRetention,
	}}}
	for name, b := range map[string]**stream.Bucket{
		contract.BucketSchedules: &w.schedules, contract.BucketJobs: &w.jobs, contract.BucketClaims: &w.claims,
	} {
		var err error
		if *b, err = w.nats.Bucket(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) queue() *contract.Queue { return &w.config.Queues[0] }

// options joins a scheduler to the world through ports, which may cut it off.
func (w *world) options(c *cut) Options {
	w.t.Helper()
	p := ports{c, w}
	d, err := dispatch.New(dispatch.Options{
		Source: contract.SourceScheduler, Config: w.config, Events: p, Sender: p, Claims: claimsPort{p}, Now: w.clock.Now,
		SendTimeout: 30 * time.Second, // for machines that are busy
		Log:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	o := Options{
		Config: w.config, Lease: alwaysLeader{}, Schedules: schedulesPort{p}, Ledger: w.jobs, Events: w.nats, Dispatcher: d,
		Counter: w.sqs, DeadLetters: p, QueuedAfter: DefaultQueuedAfter, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
	}
	o.setDefaults()
	if err := o.validate(); err != nil {
		w.t.Fatal(err)
	}
	return o
}

// lagging is a stream of which the server that answers reads has stored nothing yet, until it has caught up.
type lagging struct {
	*stream.Stream
	caughtUp bool
}

func (l *lagging) Event(ctx context.Context, seq uint64) (stream.Stored, error) {
	if l.caughtUp {
		return l.Stream.Event(ctx, seq)
	}
	info, err := l.Info(ctx)
	if err == nil {
		err = info.Absent(seq)
	}
	return stream.Stored{}, err
}

// alwaysLeader is a lease that everybody holds: the worst that can happen to one.
type alwaysLeader struct{}

func (alwaysLeader) Run(ctx context.Context, lead func(context.Context) error) error {
	return lead(ctx)
}

// cut lets a number of writes through and then, as a crash does, none. nil lets all through.
type cut struct {
	mu   sync.Mutex
	left int
	hit  bool
}

var errCut = errors.New("cut off")

func (c *cut) write() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		c.hit = true
		return errCut
	}
	c.left--
	return nil
}

// ports are the real ones, behind a cut.
type ports struct {
	cut *cut
	w   *world
}

func (p ports) Publish(ctx context.Context, e contract.Event) (uint64, error) {
	if err := p.cut.write(); err != nil {
		return 0, err
	}
	return p.w.nats.Publish(ctx, e)
}

func (p ports) PublishOnce(ctx context.Context, e contract.Event) (uint64, bool, error) {
	if err := p.cut.write(); err != nil {
		return 0, false, err
	}
	return p.w.nats.PublishOnce(ctx, e)
}

func (p ports) Event(ctx context.Context, seq uint64) (stream.Stored, error) {
	return p.w.nats.Event(ctx, seq)
}

func (p ports) Send(ctx context.Context, url string, m queue.Message) error {
	if err := p.cut.write(); err != nil {
		return err
	}
	return p.w.sqs.Send(ctx, url, m)
}

// Receive hides nothing where the sweep may be cut off, so that a second one need not wait.
func (p ports) Receive(ctx context.Context, url string, max int, wait, visibility time.Duration) ([]queue.Received, error) {
	all, err := p.w.sqs.Receive(ctx, url, max, wait, visibility)
	for _, m := range all {
		if p.cut != nil && err == nil {
			err = p.w.sqs.Release(ctx, url, m.Receipt, 0)
		}
	}
	return all, err
}

func (p ports) Delete(ctx context.Context, url, receipt string) error {
	if err := p.cut.write(); err != nil {
		return err
	}
	return p.w.sqs.Delete(ctx, url, receipt)
}

func (p ports) Release(ctx context.Context, url, receipt string, delay time.Duration) error {
	return p.w.sqs.Release(ctx, url, receipt, delay)
}

type claimsPort struct{ ports }

func (p claimsPort) Get(ctx context.Context, key string) (stream.Entry, error) {
	return p.w.claims.Get(ctx, key)
}

func (p claimsPort) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := p.cut.write(); err != nil {
		return 0, err
	}
	return p.w.claims.Create(ctx, key, value)
}

func (p claimsPort) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := p.cut.write(); err != nil {
		return 0, err
	}
	return p.w.claims.Update(ctx, key, value, revision)
}

type schedulesPort struct{ ports }

func (p schedulesPort) Get(ctx context.Context, key string) (stream.Entry, error) {
	return p.w.schedules.Get(ctx, key)
}

func (p schedulesPort) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := p.cut.write(); err != nil {
		return 0, err
	}
	return p.w.schedules.Create(ctx, key, value)
}

func (p schedulesPort) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := p.cut.write(); err != nil {
		return 0, err
	}
	return p.w.schedules.Update(ctx, key, value, revision)
}

func (p schedulesPort) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := p.cut.write(); err != nil {
		return 0, err
	}
	return p.w.schedules.Put(ctx, key, value)
}

func (p schedulesPort) Watch(ctx context.Context, filter string, fn func(stream.Entry) error, loaded func() error) error {
	return p.w.schedules.Watch(ctx, filter, fn, loaded)
}

// behind is a bucket of which a key is asked of servers that do not have it yet, some times.
type behind struct {
	Schedules
	key   string
	times atomic.Int32
}

func serversBehind(s Schedules, key string, times int32) *behind {
	b := &behind{Schedules: s, key: key}
	b.times.Store(times)
	return b
}

func (b *behind) Get(ctx context.Context, key string) (stream.Entry, error) {
	if key == b.key && b.times.Add(-1) >= 0 {
		return stream.Entry{}, stream.ErrNotFound
	}
	return b.Schedules.Get(ctx, key)
}

// run starts a scheduler and ends it with the test, or when the function it gives is called.
func (w *world) run(o Options) (stop func()) {
	w.t.Helper()
	s, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// schedule writes one as the api does.
func (w *world) schedule(id, cron string, created time.Time) {
	w.t.Helper()
	s := contract.Schedule{
		ID: id, Cron: cron, TimeZone: "UTC", Queue: "q", Type: "probe", Payload: []byte(`{ "a": 1.0 }`), Tags: []string{"t"},
		TimeoutSeconds: 7, Submitter: "alice", CreatedAt: contract.At(created),
	}
	b, err := s.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.schedules.Put(w.t.Context(), id, b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) readSchedule(id string) contract.Schedule {
	w.t.Helper()
	e, err := w.schedules.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := contract.DecodeSchedule(e.Value)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// events reads the whole stream.
func (w *world) events() []contract.Event {
	w.t.Helper()
	info, err := w.nats.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var all []contract.Event
	for seq := uint64(1); seq <= info.Last; seq++ {
		st, err := w.nats.Event(w.t.Context(), seq)
		if err != nil || st.Fault != nil {
			w.t.Fatal(err, st.Fault)
		}
		all = append(all, st.Event)
	}
	return all
}

// said gives the stream as words, each "kind reason" once.
func (w *world) said() string {
	w.t.Helper()
	var words []string
	for _, e := range w.events() {
		words = append(words, strings.TrimSpace(string(e.Kind)+" "+string(e.Reason)))
	}
	return strings.Join(words, ", ")
}

// receiveAll takes all messages out of a queue.
func (w *world) receiveAll(url string) []queue.Received {
	w.t.Helper()
	var all []queue.Received
	for {
		got, err := w.sqs.Receive(w.t.Context(), url, 10, 0, time.Hour)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(got) == 0 {
			return all
		}
		for _, m := range got {
			w.receipts = append(w.receipts, m.Receipt)
		}
		all = append(all, got...)
	}
}

// tasks takes all tasks out of the queue.
func (w *world) tasks() []contract.Task {
	w.t.Helper()
	var all []contract.Task
	for _, m := range w.receiveAll(w.queue().URL) {
		task, err := contract.DecodeTask(m.Body)
		if err != nil || !m.Envelope {
			w.t.Fatalf("no envelope of ours: %v", err)
		}
		all = append(all, task)
	}
	slices.SortFunc(all, func(a, b contract.Task) int { return a.ScheduledFor.Compare(b.ScheduledFor.Time) })
	return all
}

// eventually waits for something that another goroutine brings about.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Minute)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("%s did not come about; said: %s", what, w.said())
		}
	}
}

// waiting waits until so many timers of the scheduler wait for the clock.
func (w *world) waiting(timers int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	if err := w.clock.BlockUntilContext(ctx, timers); err != nil {
		w.t.Fatalf("%d timers: %v", timers, err)
	}
}

// task is a valid one, told apart by its name.
func (w *world) task(name string) contract.Task {
	return contract.Task{
		JobID: contract.KeyID("test", name), Run: 1, Type: "probe", Queue: "q", Payload: []byte("1"),
		SubmittedAt: contract.At(w.clock.Now()), Submitter: "test", Source: contract.FromAPI,
	}
}

// submitted says that a run exists and gives the event's sequence.
func (w *world) submitted(task contract.Task) uint64 {
	w.t.Helper()
	b, err := task.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	seq, err := w.nats.Publish(w.t.Context(), contract.Event{
		Kind: contract.Submitted, Source: contract.SourceAPI, Time: task.SubmittedAt, Queue: task.Queue, Type: task.Type,
		JobID: task.JobID, Run: task.Run, SubmittedAt: task.SubmittedAt, Task: b,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return seq
}

func (w *world) runRecord(task contract.Task) string {
	w.t.Helper()
	e, err := w.claims.Get(w.t.Context(), contract.RunKey(task.Queue, task.JobID, task.Run))
	if errors.Is(err, stream.ErrNotFound) {
		return "none"
	}
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := contract.DecodeRun(e.Value)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprint(r.Owner, " ", r.Outcome, " ", r.Reason))
}

func (w *world) putRun(task contract.Task, r contract.RunRecord) {
	w.t.Helper()
	b, err := r.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.claims.Create(w.t.Context(), contract.RunKey(task.Queue, task.JobID, task.Run), b); err != nil {
		w.t.Fatal(err)
	}
}

// foreign hides our mark, so that every message looks as if it were sent past us.
type foreign struct {
	ports
	ids *[]string // of the messages
}

func (f foreign) Receive(ctx context.Context, url string, max int, wait, visibility time.Duration) ([]queue.Received, error) {
	all, err := f.ports.Receive(ctx, url, max, wait, visibility)
	for i := range all {
		all[i].Envelope = false
		*f.ids = append(*f.ids, all[i].MessageID)
	}
	return all, err
}

// deleteAllInFlight ends what receiveAll has taken.
func (w *world) deleteAllInFlight() {
	w.t.Helper()
	for _, receipt := range w.receipts {
		if err := w.sqs.Delete(w.t.Context(), w.queue().URL, receipt); err != nil {
			w.t.Fatal(err)
		}
	}
}
