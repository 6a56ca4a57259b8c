package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// bent is a bucket whose commits a test may bend: do is called in the place of each, and calls next to
// let it through.
type bent struct {
	Bucket
	do      func(n int, changes []stream.Change, next func() (uint64, error)) (uint64, error)
	mu      sync.Mutex
	commits int
	loads   atomic.Int64
}

func (b *bent) Commit(ctx context.Context, changes []stream.Change, f stream.Fence) (uint64, error) {
	b.mu.Lock()
	b.commits++
	n := b.commits
	b.mu.Unlock()
	next := func() (uint64, error) { return b.Bucket.Commit(ctx, changes, f) }
	if b.do == nil {
		return next()
	}
	return b.do(n, changes, next)
}

func (b *bent) Each(ctx context.Context, filter string, fn func(stream.Entry) error) error {
	if filter == contract.JobKey("*") {
		b.loads.Add(1)
	}
	return b.Bucket.Each(ctx, filter, fn)
}

// story is a stream of a few hundred events that contradict one another.
func story(t testing.TB, seed uint64, events int) []said {
	t.Helper()
	a := newAuthor(seed)
	a.chaos(60, events)
	a.units(30)
	a.rng.Shuffle(len(a.all), func(i, j int) { a.all[i], a.all[j] = a.all[j], a.all[i] })
	for i := range a.all { // one job would be nearly full of submitted events otherwise
		a.all[i].event.Task = nil
		if a.all[i].event.Kind == contract.Submitted {
			a.all[i].event.Task = []byte("{}")
		}
	}
	return a.all
}

// tell publishes events in the background, and gives the sequence of the last.
func (w *world) tell(all []said) <-chan uint64 {
	last := make(chan uint64, 1)
	go func() {
		var seq uint64
		for _, s := range all {
			n, err := w.stream.Publish(w.t.Context(), *s.event)
			if err != nil {
				w.t.Errorf("publish: %v", err)
				break
			}
			seq = max(seq, n)
		}
		last <- seq
	}()
	return last
}

// Stopped at any moment and started again, the aggregator counts every event once.
func TestExactlyOnceOverKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(1, 2))
	last := w.tell(story(t, 1, 3000))
	o := w.options()
	o.Every = 2 * time.Millisecond
	for seq := uint64(0); ; {
		a, stop := w.start(o)
		select {
		case seq = <-last:
		default:
		}
		if seq > 0 {
			w.settled(a, seq)
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(60))*time.Millisecond)
		_ = a.Committed(ctx, 1<<60) // until the time is up: a kill at a random moment
		cancel()
		stop()
	}
	w.same()
}

// Two that both think they lead give what one gives: the fence decides each commit.
func TestTwoWritersWithoutALease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := atomic.Int64{}
	writer := func() *Aggregator {
		o := w.options()
		o.Every = 5 * time.Millisecond
		o.Bucket = &bent{Bucket: w.bucket, do: func(_ int, _ []stream.Change, next func() (uint64, error)) (uint64, error) {
			rev, err := next()
			if errors.Is(err, stream.ErrConflict) {
				lost.Add(1)
			}
			return rev, err
		}}
		a, _ := w.start(o)
		return a
	}
	one, two := writer(), writer()
	w.eventually("the first has loaded", one.Ready)
	w.eventually("the second has loaded", two.Ready)
	seq := <-w.tell(story(t, 2, 2000))
	w.settled(one, seq)
	w.settled(two, seq)
	w.same()
	if lost.Load() == 0 {
		t.Error("nobody ever lost: the test shows nothing")
	}
}

// A commit whose answer is lost is looked up, never sent again: whether it was made or not.
func TestUnknownCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	o.Every = 2 * time.Millisecond
	b := &bent{Bucket: w.bucket}
	b.do = func(n int, _ []stream.Change, next func() (uint64, error)) (uint64, error) {
		switch n % 7 {
		case 3: // made, and the answer lost
			if _, err := next(); err != nil {
				return 0, err
			}
			return 0, fmt.Errorf("no answer: %w", stream.ErrUnavailable)
		case 5: // never arrived
			return 0, fmt.Errorf("no answer: %w", stream.ErrUnavailable)
		}
		return next()
	}
	o.Bucket = b
	a, _ := w.start(o)
	events := story(t, 3, 1500)
	for ; len(events) > 0; events = events[min(100, len(events)):] { // a commit for each, at least
		w.settled(a, w.publish(events[:min(100, len(events))]))
	}
	w.same()
}

// An answer lost to one who made the commit costs no reload.
func TestALostAnswerIsNoLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := &bent{Bucket: w.bucket, do: func(_ int, _ []stream.Change, next func() (uint64, error)) (uint64, error) {
		if _, err := next(); err != nil {
			return 0, err
		}
		return 0, stream.ErrUnavailable
	}}
	o := w.options()
	o.Bucket = b
	a, _ := w.start(o)
	w.settled(a, w.publish(story(t, 4, 20)))
	w.same()
	if n := b.loads.Load(); n != 1 {
		t.Errorf("the ledger was loaded %d times", n)
	}
}

// NATS going away and coming back costs nothing.
func TestOutages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	o.Every = 5 * time.Millisecond
	a, _ := w.start(o)
	all := story(t, 5, 900)
	for i := range 3 {
		w.settled(a, w.publish(all[i*300:(i+1)*300]))
		w.bounce("")
	}
	w.settled(a, w.publish(all[900:]))
	w.same()
}

// The bucket is disposable: without it the stream gives the same bytes again.
func TestReplayAfterTheBucketIsWiped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, stop := w.start(w.options())
	seq := w.publish(story(t, 6, 800))
	w.settled(a, seq)
	w.same()
	stop()
	w.bounce(contract.BucketStream(contract.BucketJobs))
	if n := len(w.shown()); n != 0 {
		t.Fatalf("%d documents in a bucket that was wiped", n)
	}
	a, _ = w.start(w.options())
	w.settled(a, seq)
	w.same()
}

// A stream made anew under the old name is another stream: nothing of the old one is left in the books,
// whether that happens while the aggregator runs or while it does not.
func TestAStreamMadeAnewIsReadFromItsFirstEvent(t *testing.T) {
	t.Parallel()
	for _, while := range []string{"stopped", "running"} {
		t.Run(while, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, stop := w.start(w.options())
			old := newAuthor(7)
			for n := range 1500 { // more than one batch can remove
				old.say(event(testID(5000+n), 1, 0, contract.Submitted, 1))
			}
			w.settled(a, w.publish(old.all))
			if while == "stopped" {
				stop()
			}
			w.bounce(contract.StreamEvents)
			author := newAuthor(8)
			author.life(testID(1), 1, contract.Succeeded)
			seq := w.publish(author.all)
			if while == "stopped" {
				a, _ = w.start(w.options())
			}
			w.eventually("the new stream is in the books", func() error {
				if got := w.stats(); got.AsOf.Seq != seq || got.Jobs.Submitted != 1 {
					return fmt.Errorf("as of %d, %d jobs, ready: %w", got.AsOf.Seq, got.Jobs.Submitted, a.Ready())
				}
				return nil
			})
			w.same()
		})
	}
}

func (w *world) stats() (s contract.Stats) {
	w.t.Helper()
	e, err := w.bucket.Get(w.t.Context(), contract.KeyStats)
	if err == nil {
		err = json.Unmarshal(e.Value, &s)
	}
	if err != nil && !errors.Is(err, stream.ErrNotFound) {
		w.t.Fatal(err)
	}
	return s
}

// Events that the stream lost before they were folded are a gap, and the ledger says so for good.
func TestAGapUnbalances(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.EventsBytes = 256 << 10
	w.bounce(contract.StreamEvents)
	a, stop := w.start(w.options())
	author := newAuthor(9)
	author.life(testID(1), 1, contract.Succeeded)
	w.settled(a, w.publish(author.all))
	if s := w.stats(); !s.Balanced {
		t.Fatalf("not balanced before: %+v", s.Balance)
	}
	stop()
	from := author.seq
	for n := range 1500 {
		author.say(event(testID(100+n), 1, 0, contract.Submitted, 2))
	}
	seq := w.publish(author.all[from:])
	for range 2 { // and still after another start
		a, stop = w.start(w.options())
		w.settled(a, seq)
		stop()
		b := w.stats().Balance
		if s := w.stats(); s.Balanced || !b.Gap || b.GapAt != from+1 || b.GapTo < b.GapAt || b.Missing != b.GapTo-b.GapAt+1 || s.Jobs.Succeeded != 1 {
			t.Errorf("balanced %v, %+v", s.Balanced, b)
		}
	}
	// Until a person says that nothing was in it.
	gapTo := w.stats().Balance.GapTo
	for _, accepted := range []uint64{gapTo - 1, gapTo, 0} {
		o := w.options()
		o.AcceptGapsTo = accepted
		_, stop = w.start(o)
		w.eventually("the ledger judges it anew", func() error {
			if b := w.stats().Balance; b.Accepted != accepted {
				return fmt.Errorf("%+v", b)
			}
			return nil
		})
		stop()
		if s := w.stats(); s.Balanced != (accepted == gapTo) || s.Balance.Gap == s.Balanced || s.Balance.Missing == 0 {
			t.Errorf("accepted to %d: balanced %v, %+v", accepted, s.Balanced, s.Balance)
		}
	}
}

// More documents than a batch can hold are written by several, each of which is a whole ledger.
// The server takes no more than one that was told nothing, so the first commit is refused.
func TestABacklogIsCommittedInWholeBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.batch = stream.DefaultBatch
	w.bounce("")
	author := newAuthor(10)
	for n := range 2500 {
		author.say(event(testID(n), 1, 0, contract.Submitted, 1))
	}
	seq := w.publish(author.all)
	var sizes []int
	refused := 0
	b := &bent{Bucket: w.bucket}
	b.do = func(_ int, changes []stream.Change, next func() (uint64, error)) (uint64, error) {
		rev, err := next()
		if errors.Is(err, stream.ErrTooLarge) {
			refused++
			return rev, err
		}
		sizes = append(sizes, len(changes))
		if got := w.stats(); err == nil && (got.Jobs.Submitted != int(got.AsOf.Seq) || len(w.shown()) < int(got.AsOf.Seq)) {
			t.Errorf("as of %d there are %d jobs and %d documents", got.AsOf.Seq, got.Jobs.Submitted, len(w.shown()))
		}
		return rev, err
	}
	o := w.options()
	o.Bucket = b
	a, stop := w.start(o)
	w.settled(a, seq)
	stop()
	w.same()
	largest := 0
	for _, n := range sizes {
		largest = max(largest, n)
	}
	if largest < 900 || largest >= stream.DefaultBatch || len(sizes) < 3 || refused != 1 {
		t.Errorf("batches of %v changes, %d refused", sizes, refused)
	}
}

// When nothing was written for a while, an event is committed at once, not after the usual pause.
func TestAnIdleAggregatorCommitsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	o.Every = time.Minute
	a, _ := w.start(o)
	w.eventually("the empty ledger is written", func() error {
		if w.shown()[contract.KeyStats] == "" {
			return errors.New("no stats")
		}
		return nil
	})
	began := time.Now()
	w.settled(a, w.publish([]said{{event: event(testID(1), 1, 0, contract.Submitted, 1)}}))
	if took := time.Since(began); took > o.Every/2 {
		t.Errorf("it took %s", took)
	}
}

// baton is a lease that a test hands over.
type baton struct{ terms chan chan struct{} }

func newBaton() *baton { return &baton{make(chan chan struct{})} }

func (b *baton) Run(ctx context.Context, lead func(context.Context) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case over := <-b.terms:
			term, cancel := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() { done <- lead(term) }()
			select {
			case <-over:
			case <-ctx.Done():
			}
			cancel()
			<-done
		}
	}
}

// lead makes its holder lead until the function given back is called.
func (b *baton) lead() (end func()) {
	over := make(chan struct{})
	b.terms <- over
	return func() { close(over) }
}

// A standby that has folded along writes what is missing when it takes over, without loading anything;
// and leads overlap or leave a hole as they like.
func TestAStandbyTakesOverWarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var batons [2]*baton
	var buckets [2]*bent
	var all [2]*Aggregator
	for i := range all {
		batons[i], buckets[i] = newBaton(), &bent{Bucket: w.bucket}
		o := w.options()
		o.Every, o.Lease, o.Bucket = 5*time.Millisecond, batons[i], buckets[i]
		all[i], _ = w.start(o)
	}
	for i := range all {
		w.eventually("the standby is loaded", all[i].Ready)
	}
	events := story(t, 11, 2400)
	for n := range 8 {
		end := batons[n%2].lead()
		seq := w.publish(events[n*300 : n*300+200])
		w.settled(all[n%2], seq)
		end()
		w.publish(events[n*300+200 : (n+1)*300]) // while nobody leads
	}
	end := batons[0].lead()
	defer end()
	w.settled(all[0], w.publish(events[2400:]))
	w.same()
	for i := range buckets { // now and then a commit of the one before is still on its way, and wins
		if n := buckets[i].loads.Load(); n > 3 {
			t.Errorf("%d was loaded %d times in four terms: it was not warm", i, n)
		}
	}
}

// The real lease: when the leader ends in order, its standby goes on.
func TestTheLeaseIsHandedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all [2]*Aggregator
	var stops [2]func()
	for i := range all {
		o := w.options()
		o.Lease = w.stream.Lease(contract.LeaseLedger, fmt.Sprint("holder-", i))
		all[i], stops[i] = w.start(o)
	}
	events := story(t, 12, 600)
	seq := w.publish(events[:300])
	w.settled(all[0], seq)
	w.settled(all[1], seq)
	leader := 0
	if all[1].Leading() {
		leader = 1
	}
	if all[1-leader].Leading() {
		t.Error("both lead")
	}
	stops[leader]()
	w.settled(all[1-leader], w.publish(events[300:]))
	w.same()
}

// A standby never holds more than one commit could write, however far behind the leader is.
func TestAStandbyStaysWithinOneBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lease, b := newBaton(), &bent{Bucket: w.bucket}
	o := w.options()
	o.Lease, o.Bucket = lease, b
	a, _ := w.start(o)
	w.eventually("the standby is loaded", a.Ready)
	author := newAuthor(13)
	for n := range stream.MaxBatch + 1000 {
		author.say(event(testID(n), 1, 0, contract.Submitted, 1))
	}
	seq := w.publish(author.all)
	b.do = func(_ int, changes []stream.Change, next func() (uint64, error)) (uint64, error) {
		if len(changes) >= stream.MaxBatch {
			t.Errorf("a commit of %d changes", len(changes))
		}
		return next()
	}
	defer lease.lead()()
	w.settled(a, seq)
	w.same()
}

// A checkpoint of a newer version is for those who know it; it is left alone, and the error says what to do.
func TestACheckpointOfANewerVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.bucket.Put(t.Context(), contract.KeyCheckpoint, []byte(`{"v":99,"seq":5}`)); err != nil {
		t.Fatal(err)
	}
	a, err := New(w.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "version 99") && !strings.Contains(err.Error(), "version: 99") {
		t.Errorf("Run: %v", err)
	}
}

// A document that somebody damaged shows: its part is missing from the sums.
func TestADamagedDocumentUnbalances(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, stop := w.start(w.options())
	author := newAuthor(14)
	author.life(testID(1), 1, contract.Succeeded)
	author.life(testID(2), 2, contract.Succeeded)
	w.settled(a, w.publish(author.all))
	stop()
	if _, err := w.bucket.Put(t.Context(), contract.JobKey(testID(2)), []byte(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	a, _ = w.start(w.options())
	w.settled(a, w.publish([]said{{event: event(testID(3), 1, 0, contract.Submitted, 1)}}))
	if s := w.stats(); s.Balanced || s.Balance.Off == 0 {
		t.Errorf("balanced %v, %+v", s.Balanced, s.Balance)
	}
}

// The documents of jobs that ended before the retention go in the same commits as the rest; a restart in
// between changes nothing.
func TestOldDocumentsGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	o.Retention = time.Hour
	author := newAuthor(15)
	for n := range 40 {
		author.life(testID(n), 1, contract.Succeeded)
	}
	for n := range 8 {
		e := event(testID(1000+n), 1, 0, contract.Submitted, 7200)
		e.SubmittedAt = e.Time
		author.say(e)
	}
	half := len(author.all) - 5
	a, stop := w.start(o)
	w.settled(a, w.publish(author.all[:half]))
	stop()
	a, _ = w.start(o)
	w.settled(a, w.publish(author.all[half:]))
	w.sameBy(rules{retention: o.Retention, window: DefaultWindow})
	left, err := w.bucket.List(t.Context(), contract.JobKey("*"))
	if err != nil {
		t.Fatal(err)
	}
	err = w.bucket.Watch(t.Context(), contract.JobKey("*"), func(e stream.Entry) error {
		if e.Deleted && e.TTL != markerTTL {
			t.Errorf("the marker of %s stays for %s", e.Key, e.TTL)
		}
		return nil
	}, func() error { return io.EOF })
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if n, s := len(left), w.stats(); n != 8 || s.Jobs.Succeeded != 40 || s.Jobs.Accepted != 8 || !s.Balanced {
		t.Errorf("%d documents, stats %+v", n, s)
	}
}
