package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
)

// rounds is how many timers a leader has beside its alarms: those of lead, and the look for the queues.
const rounds = 4

// fireOnly leaves the dead-letter queues out: their sweep waits for SQS, not for the clock.
func (w *world) fireOnly(c *cut) Options {
	o := w.options(c)
	o.Config.Queues = []contract.Queue{*w.queue()}
	o.Config.Queues[0].DeadLetter = ""
	return o
}

// fired waits until a schedule has recorded a tick.
func (w *world) fired(id string, tick time.Time) {
	w.t.Helper()
	w.eventually("the tick "+tick.String(), func() bool { return w.readSchedule(id).LastTick.Equal(tick) })
}

func minute(n int) time.Time {
	return began().Truncate(time.Minute).Add(time.Duration(n) * time.Minute)
}

func TestAnHourOfMinutesIsSixtyMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("s", "* * * * *", w.clock.Now())
	w.run(w.fireOnly(nil))
	for n := 1; n <= 60; n++ {
		w.waiting(rounds + 1)
		w.clock.Advance(time.Minute)
		w.fired("s", minute(n))
	}
	tasks := w.tasks()
	if len(tasks) != 60 {
		t.Fatalf("%d messages", len(tasks))
	}
	for i, task := range tasks {
		tick := minute(i + 1)
		if !task.ScheduledFor.Equal(tick) || task.JobID != contract.TickID("s", tick) {
			t.Errorf("message %d is of %s", i, task.ScheduledFor)
		}
	}
	first := tasks[0]
	if first.Source != contract.FromSchedule || first.Schedule != "s" || string(first.Payload) != `{ "a": 1.0 }` ||
		first.Submitter != "alice" || first.TimeoutSeconds != 7 || len(first.Tags) != 1 || first.Run != 1 {
		t.Errorf("%+v", first)
	}
}

func TestTicksFromBeforeItWasMadeAreNotFired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("on-the-minute", "* * * * *", minute(0))
	w.schedule("a-moment-before", "* * * * *", minute(0).Add(-time.Millisecond))
	w.run(w.fireOnly(nil))
	w.fired("a-moment-before", minute(0))
	w.waiting(rounds + 1)
	w.clock.Advance(time.Minute)
	w.fired("a-moment-before", minute(1))
	w.fired("on-the-minute", minute(1))
	if tasks := w.tasks(); len(tasks) != 3 {
		t.Errorf("%d messages", len(tasks))
	}
}

func TestOfMissedTicksTheLastIsMadeUpFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("minutes", "* * * * *", minute(-180))
	w.schedule("nightly", "0 2 * * *", minute(-60*24*400))
	w.schedule("not-yet", "0 2 * * *", minute(-1))
	w.run(w.fireOnly(nil))
	w.fired("minutes", minute(0))
	w.fired("nightly", time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC))
	tasks := w.tasks()
	if len(tasks) != 2 || tasks[0].Schedule != "nightly" || tasks[1].Schedule != "minutes" {
		t.Fatalf("%+v", tasks)
	}
	// A job that is made up for is no older than its making, or the books might be closed to it.
	if got := tasks[0].SubmittedAt; !got.Equal(contract.At(w.clock.Now()).Time) {
		t.Errorf("submitted at %s", got)
	}
}

func TestARestartFiresNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("s", "* * * * *", w.clock.Now())
	for n := 1; n <= 5; n++ {
		stop := w.run(w.fireOnly(nil))
		w.waiting(rounds + 1)
		w.clock.Advance(time.Minute)
		w.fired("s", minute(n))
		stop()
	}
	if tasks := w.tasks(); len(tasks) != 5 {
		t.Errorf("%d messages", len(tasks))
	}
}

func TestTwoLeadersMakeTheSameJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("s", "* * * * *", w.clock.Now())
	w.run(w.fireOnly(nil))
	w.run(w.fireOnly(nil))
	for n := 1; n <= 10; n++ {
		w.waiting(2 * (rounds + 1))
		w.clock.Advance(time.Minute)
		w.fired("s", minute(n))
	}
	jobs := make(map[string]int)
	for _, e := range w.events() {
		jobs[e.ID()]++
	}
	for n := 1; n <= 10; n++ {
		id := contract.TickID("s", minute(n))
		if got := jobs[contract.EventID(id, 1, 0, contract.Submitted)]; got != 1 {
			t.Errorf("tick %d was submitted %d times", n, got)
		}
	}
	if len(jobs) != 20 {
		t.Errorf("%d facts, wanted 10 submitted and 10 queued", len(jobs))
	}
}

// watched gives a table that follows the bucket, with nothing but its alarms to fire it.
func (w *world) watched(o Options) *table {
	w.t.Helper()
	alarms, err := startAlarms(w.clock)
	if err != nil {
		w.t.Fatal(err)
	}
	t := newTable(&o, alarms)
	ctx, cancel := context.WithCancel(w.t.Context())
	loaded, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- t.watch(ctx, func() error { close(loaded); return nil }) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
		if err := alarms.stop(); err != nil {
			w.t.Error(err)
		}
	})
	<-loaded
	return t
}

// hangs lists "schedule bells" as the table has them.
func (t *table) hangs() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprint(slices.Sorted(maps.Keys(t.rows)), len(t.bells))
}

func TestSchedulesComeChangeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("changes", "0 0 1 1 *", w.clock.Now())
	w.schedule("goes", "* * * * *", w.clock.Now())
	w.schedule("stays", "* * * * *", w.clock.Now())
	table := w.watched(w.options(nil))
	if got := table.hangs(); got != "[changes goes stays] 2" {
		t.Fatal(got)
	}
	w.waiting(2)
	w.clock.Advance(time.Minute)
	w.fired("goes", minute(1))

	e, err := w.schedules.Get(t.Context(), "goes")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.schedules.Delete(t.Context(), "goes", e.Revision); err != nil {
		t.Fatal(err)
	}
	w.schedule("changes", "*/2 * * * *", w.clock.Now())
	w.schedule("comes", "* * * * *", w.clock.Now())
	if _, err := w.schedules.Put(t.Context(), "cannot-be-read", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	w.eventually("the changes", func() bool { return table.hangs() == "[changes comes stays] 2" })
	for n := 2; n <= 6; n++ {
		w.waiting(2)
		w.clock.Advance(time.Minute)
		w.fired("stays", minute(n))
		w.fired("comes", minute(n))
		w.fired("changes", minute(n-n%2))
	}
	count := make(map[string]int)
	for _, task := range w.tasks() {
		count[task.Schedule]++
	}
	if count["goes"] != 1 || count["changes"] != 3 || count["comes"] != 5 || count["stays"] != 6 {
		t.Errorf("%v", count)
	}
}

func TestAFiringGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	for writes := 0; ; writes++ {
		w := newWorld(t)
		w.schedule("s", "* * * * *", minute(-1))
		c := &cut{left: writes}
		o := w.fireOnly(c)
		first, err := startAlarms(w.clock)
		if err != nil {
			t.Fatal(err)
		}
		table := newTable(&o, first)
		timing, err := parseTiming("* * * * *", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := table.put(w.readSchedule("s"), timing); err != nil {
			t.Fatal(err)
		}
		if err := table.fire(t.Context(), "s"); c.hit == (err == nil) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		w.run(w.fireOnly(nil))
		w.fired("s", minute(0))
		w.waiting(rounds + 1)
		id := contract.TickID("s", minute(0))
		for _, task := range w.tasks() { // where it was sent twice, the claim drops the second
			if task.JobID != id {
				t.Errorf("after %d writes there is another job, of %s", writes, task.ScheduledFor)
			}
		}
		if got := w.said(); got != "submitted, queued" {
			t.Errorf("after %d writes: %s", writes, got)
		}
		if !c.hit {
			return
		}
	}
}

func TestAFiringThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("s", "0 2 * * *", minute(-60*24))
	c := &cut{} // NATS takes nothing
	w.run(w.fireOnly(c))
	w.eventually("a try", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.hit })
	c.mu.Lock()
	c.left = 100
	c.mu.Unlock()
	tick := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	w.eventually("the tick that was missed", func() bool {
		w.clock.Advance(retryFirst) // again and again: nothing tells when the try that failed has set its alarm
		return w.readSchedule("s").LastTick.Equal(tick)
	})
}

func TestWhileSQSIsAwayAFiringIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	w.schedule("s", "* * * * *", minute(-1))
	w.run(w.fireOnly(nil))
	w.fired("s", minute(0))
	if got := w.said(); got != "submitted" {
		t.Errorf("said: %s", got)
	}
}

// A server that is behind does not have a new schedule yet. Whether there is one only the watch says, once: it is
// asked for again, and fires.
func TestAScheduleThatAServerDoesNotHaveYetFires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("s", "* * * * *", minute(-1))
	o := w.options(nil)
	o.Schedules = serversBehind(o.Schedules, "s", 1)
	table := w.watched(o)
	for _, want := range []time.Time{{}, minute(0)} {
		if err := table.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.readSchedule("s").LastTick; !got.Equal(want) {
			t.Errorf("the last tick is %s, want %s", got, want)
		}
	}
	if tasks := w.tasks(); len(tasks) != 1 {
		t.Errorf("%d messages", len(tasks))
	}
}

// overtaken lets something happen to a schedule between what is asked of the bucket and the answer.
type overtaken struct {
	Schedules
	get, update func()
}

func (o overtaken) Get(ctx context.Context, key string) (stream.Entry, error) {
	e, err := o.Schedules.Get(ctx, key)
	o.get()
	return e, err
}

func (o overtaken) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	rev, err := o.Schedules.Update(ctx, key, value, revision)
	o.update()
	return rev, err
}

// A schedule is deleted, or changed, while it is fired. The firing ends with what it knew, and the table stays as the
// watch has told.
func TestALateFiringRevivesNoSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	table := w.watched(w.options(nil))
	bucket := table.store
	change := map[string]func(id string){
		"deleted": func(id string) {
			e, err := w.schedules.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.schedules.Delete(t.Context(), id, e.Revision); err != nil {
				t.Fatal(err)
			}
			w.eventually("it goes", func() bool { return table.due(id).IsZero() })
		},
		"changed": func(id string) {
			w.schedule(id, "0 2 * * *", w.clock.Now())
			w.eventually("it changes", func() bool { return table.due(id).Hour() == 2 })
		},
	}
	for name, change := range change {
		for _, due := range []bool{true, false} {
			id, created := name+"-not-due", w.clock.Now()
			o := overtaken{bucket, func() { change(id) }, func() {}}
			if due {
				id, created = name+"-due", minute(-1)
				o.get, o.update = o.update, o.get
			}
			w.schedule(id, "* * * * *", created)
			w.eventually("it comes", func() bool { return !table.due(id).IsZero() })
			table.store = o
			if err := table.fire(t.Context(), id); err != nil {
				t.Error(err)
			}
			table.store = bucket
			if at := table.due(id); name == "deleted" && !at.IsZero() || name == "changed" && at.Hour() != 2 {
				t.Errorf("%s is due at %s", id, at)
			}
		}
	}
}

// due is when a schedule is to be looked at; the zero time where it is not there.
func (t *table) due(id string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[id]; r != nil {
		return r.due
	}
	return time.Time{}
}

// countingDispatcher counts the jobs that are made, and makes none: this test is of the clockwork.
type countingDispatcher struct {
	Dispatcher
	mu   sync.Mutex
	jobs map[string]int
}

func (d *countingDispatcher) Submit(_ context.Context, t contract.Task) (contract.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs[t.JobID]++
	return contract.StateQueued, nil
}

func TestTenThousandSchedulesAllFire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range contract.MaxSchedules {
		w.schedule(fmt.Sprintf("s-%d", i), "* * * * *", w.clock.Now())
	}
	o := w.options(nil)
	d := &countingDispatcher{Dispatcher: o.Dispatcher, jobs: make(map[string]int)}
	o.Dispatcher = d
	table := w.watched(o)
	w.waiting(1)
	w.clock.Advance(time.Minute)
	w.eventually("a tick of each", func() bool {
		table.mu.Lock()
		defer table.mu.Unlock()
		for _, r := range table.rows {
			if !r.due.Equal(minute(2)) {
				return false
			}
		}
		return true
	})
	if len(table.rows) != contract.MaxSchedules || len(d.jobs) != contract.MaxSchedules {
		t.Errorf("%d schedules made %d jobs", len(table.rows), len(d.jobs))
	}
	for id, times := range d.jobs {
		if times != 1 {
			t.Errorf("job %s was made %d times", id, times)
		}
	}
}

// slowDispatcher keeps a firing under way until the test lets it end.
type slowDispatcher struct {
	Dispatcher
	begun, end chan struct{}
}

func (d *slowDispatcher) Submit(ctx context.Context, t contract.Task) (contract.State, error) {
	d.begun <- struct{}{}
	<-d.end
	return d.Dispatcher.Submit(ctx, t)
}

func TestAnAlarmThatRingsDuringAFiringIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule("s", "* * * * *", w.clock.Now())
	o := w.options(nil)
	d := &slowDispatcher{o.Dispatcher, make(chan struct{}, 2), make(chan struct{}, 2)}
	o.Dispatcher = d
	table := w.watched(o)
	w.waiting(1)
	w.clock.Advance(time.Minute)
	<-d.begun
	w.waiting(1)
	w.clock.Advance(time.Minute)
	w.eventually("the second alarm", func() bool {
		table.mu.Lock()
		defer table.mu.Unlock()
		return table.rows["s"].again
	})
	d.end <- struct{}{}
	<-d.begun
	d.end <- struct{}{}
	w.fired("s", minute(2))
	if tasks := w.tasks(); len(tasks) != 2 {
		t.Errorf("%d messages", len(tasks))
	}
}
