package aggregator

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
)

// traffic is a realistic stream: most jobs end well at their first attempt, some at the second, some
// fail; many are under way at a time.
func traffic(events int) []*contract.Event {
	const atOnce = 2000
	a := newAuthor(7)
	lives := make([][]*contract.Event, 0, atOnce)
	var out []*contract.Event
	for n := 0; len(out) < events; {
		for len(lives) < atOnce {
			lives = append(lives, lifeOf(a, n))
			n++
		}
		i := a.rng.IntN(len(lives))
		out = append(out, lives[i][0])
		if lives[i] = lives[i][1:]; len(lives[i]) == 0 {
			lives[i] = lives[len(lives)-1]
			lives = lives[:len(lives)-1]
		}
	}
	return out
}

func lifeOf(a *author, n int) []*contract.Event {
	one := newAuthor(uint64(n))
	attempts, end := 1, contract.Succeeded
	switch p := a.rng.IntN(100); {
	case p < 3:
		attempts, end = 3, contract.Failed
	case p < 10:
		attempts = 2
	}
	one.life(testID(n), attempts, end)
	begin := contract.At(epoch.Add(time.Duration(n) * 37 * time.Millisecond))
	var out []*contract.Event
	for i, s := range one.all {
		e := s.event
		e.SubmittedAt = begin
		e.Time = contract.At(begin.Add(e.Time.Sub(epoch) + time.Duration(a.rng.IntN(500*(i+1)))*time.Millisecond))
		e.Queue, e.Type = []string{"default", "mail"}[n%2], []string{"probe", "process-data", "store-event"}[n%3]
		if e.Kind == contract.Submitted {
			e.Task = taskOf(e)
		} else if e.Attempt > 0 {
			e.Unit, e.Pod, e.PodName = testID(n+1e6), testID(n+2e6), fmt.Sprintf("default-%d-abcde", n)
			e.Cluster, e.Namespace, e.Name = "local", "tallyman", fmt.Sprintf("default-%d", n)
		}
		out = append(out, e)
	}
	return out
}

func taskOf(e *contract.Event) []byte {
	t := contract.Task{
		JobID: e.JobID, Run: e.Run, Type: e.Type, Queue: e.Queue, Payload: []byte(`{"target":"127.0.0.1","duration":"10"}`),
		SubmittedAt: e.SubmittedAt, Submitter: "bench", Source: contract.FromAPI,
	}
	b, err := t.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

func encoded(b *testing.B, all []*contract.Event) [][]byte {
	b.Helper()
	out := make([][]byte, len(all))
	for i, e := range all {
		var err error
		if out[i], err = e.Encode(); err != nil {
			b.Fatal(err)
		}
	}
	return out
}

const (
	benchEvents = 200_000
	recovered   = 1_000_000
)

func BenchmarkFold(b *testing.B) {
	all := traffic(benchEvents)
	stored := epoch.Add(365 * 24 * time.Hour)
	b.ReportAllocs()
	used := cpu()
	for b.Loop() {
		l := newLedger(testRules)
		for i, e := range all {
			l.fold(uint64(i+1), stored, e)
		}
	}
	report(b, len(all), used)
}

func BenchmarkDecodeAndFold(b *testing.B) {
	raw := encoded(b, traffic(benchEvents))
	stored := epoch.Add(365 * 24 * time.Hour)
	b.ReportAllocs()
	used := cpu()
	for b.Loop() {
		l := newLedger(testRules)
		for i := range raw {
			e, err := contract.DecodeEvent(raw[i])
			if err != nil {
				b.Fatal(err)
			}
			l.fold(uint64(i+1), stored, &e)
		}
	}
	report(b, len(raw), used)
}

// report gives the rate by the clock, and by the processor's time, which is what holds on a busy machine.
func report(b *testing.B, n int, since time.Duration) {
	all := float64(n) * float64(b.N)
	b.ReportMetric(all/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(all/(cpu()-since).Seconds(), "events/cpu-s")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkDocument(b *testing.B) {
	l := newLedger(testRules)
	for i, e := range traffic(20000) {
		l.fold(uint64(i+1), epoch.Add(time.Hour), e)
	}
	var j job
	n, bytes, buffer := 0, 0, []byte(nil)
	used := cpu()
	for b.Loop() {
		for id, p := range l.jobs {
			p.unpack(&j)
			buffer = j.document(buffer[:0], id, l.queues.list, l.types.list)
			n++
			bytes += len(buffer)
		}
	}
	b.ReportMetric(float64(n)/(cpu()-used).Seconds(), "documents/cpu-s")
	b.ReportMetric(float64(bytes)/float64(n), "B/document")
}

// BenchmarkBytesPerJob measures what an ended job takes in memory, all in all.
func BenchmarkBytesPerJob(b *testing.B) {
	const jobs = 300_000
	for b.Loop() {
		before := heapBytes()
		l := newLedger(testRules)
		a := newAuthor(1)
		seq := uint64(0)
		packedBytes := 0
		for n := range jobs {
			for _, e := range lifeOf(a, n) {
				seq += 1 + uint64(a.rng.IntN(3000)) // its events are far from one another on the stream
				l.fold(seq, epoch.Add(365*24*time.Hour), e)
			}
			seq = uint64(n) * 6
		}
		for _, p := range l.jobs {
			packedBytes += len(p)
		}
		b.ReportMetric(float64(heapBytes()-before)/jobs, "B/job")
		b.ReportMetric(float64(packedBytes)/jobs, "packed-B/job")
		runtime.KeepAlive(l)
		b.ReportMetric(waiting(jobs/3), "waiting-B/job")
	}
}

// waiting is what a job takes in memory that was submitted and queued and that nobody has claimed.
func waiting(jobs int) float64 {
	before := heapBytes()
	l := newLedger(testRules)
	a := newAuthor(2)
	for n := range jobs {
		for _, e := range lifeOf(a, n)[:2] {
			l.fold(l.seq+1, epoch.Add(365*24*time.Hour), e)
		}
	}
	used := float64(heapBytes()-before) / float64(jobs)
	runtime.KeepAlive(l)
	return used
}

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCommitted drains a backlog through a real NATS, beside a bare ordered consume of the same.
// The machine may be busy with other things, so the processor's time is given beside the clock's.
func BenchmarkCommitted(b *testing.B) {
	w := newWorldApart(b)
	n := flood(b, w, traffic(benchEvents))
	var bares, wholes []took
	for b.Loop() {
		w.emptyApart()
		bares = append(bares, measure(func() { consume(b, w, n) }))
		wholes = append(wholes, measure(func() {
			a, stop := w.start(w.options())
			w.settled(a, uint64(n))
			stop()
		}))
	}
	bare, whole := median(bares), median(wholes)
	bare.report(b, n, "bare-")
	whole.report(b, n, "")
	b.ReportMetric(bare.wall.Seconds()/whole.wall.Seconds(), "of-bare-consume")
}

// BenchmarkRecovery makes the ledger of a million events again: from the bucket, and from the stream, beside a bare
// consume of the same.
func BenchmarkRecovery(b *testing.B) {
	w := newWorldApart(b)
	n := flood(b, w, traffic(recovered))
	a, stop := w.start(w.options())
	w.settled(a, uint64(n))
	stop()
	var loads, replays, bares []took
	for b.Loop() {
		loads = append(loads, measure(func() {
			l, err := load(b.Context(), w.stream, w.bucket, testRules, nil)
			if err != nil || l.ledger.seq != uint64(n) || !l.ledger.stats().Balanced {
				b.Fatalf("load: %v", err)
			}
			b.ReportMetric(float64(len(l.ledger.jobs)), "jobs")
		}))
		replays = append(replays, measure(func() { replayed(b, w, n) }))
		bares = append(bares, measure(func() { consume(b, w, n) }))
	}
	loading, replay := median(loads), median(replays)
	b.ReportMetric(loading.wall.Seconds(), "load-s")
	b.ReportMetric(loading.cpu.Seconds(), "load-cpu-s")
	b.ReportMetric(replay.wall.Seconds(), "replay-s")
	b.ReportMetric(replay.cpu.Seconds(), "replay-cpu-s")
	b.ReportMetric(median(bares).wall.Seconds(), "bare-s")
}

// median is the one in the middle, by the clock.
func median(all []took) took {
	slices.SortFunc(all, func(a, b took) int { return cmp.Compare(a.wall, b.wall) })
	return all[len(all)/2]
}

// took is how long something took, by the clock and by the processor.
type took struct{ wall, cpu time.Duration }

func measure(do func()) took {
	began, used := time.Now(), cpu()
	do()
	return took{time.Since(began), cpu() - used}
}

func (t took) report(b *testing.B, n int, prefix string) {
	b.ReportMetric(float64(n)/t.wall.Seconds(), prefix+"events/s")
	b.ReportMetric(float64(t.cpu.Microseconds())/float64(n), prefix+"cpu-us/event")
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// consume is the reference: the client's own ordered consumer, at the pull that suits it best, and nobody looks at what
// comes.
func consume(b *testing.B, w *world, n int) {
	b.Helper()
	nc, err := nats.Connect(w.apart, nats.Name("bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	ordered, err := js.OrderedConsumer(b.Context(), contract.StreamEvents, jetstream.OrderedConsumerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	come, all := 0, make(chan struct{})
	reading, err := ordered.Consume(func(jetstream.Msg) {
		if come++; come == n {
			close(all)
		}
	}, jetstream.PullMaxMessages(8000))
	if err != nil {
		b.Fatal(err)
	}
	defer reading.Stop()
	<-all
}

// replayed folds the stream from its first event on, as a session does that finds no bucket: one goroutine
// reads, another folds.
func replayed(b *testing.B, w *world, n int) {
	b.Helper()
	l := newLedger(testRules)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	s := &session{Aggregator: &Aggregator{Options: w.options()}, inbox: newInbox()}
	followed := make(chan error, 1)
	go func() { followed <- s.follow(ctx) }()
	for l.seq < uint64(n) {
		select {
		case <-s.inbox.filled:
			s.burst = s.inbox.take(s.burst)
			for i := range s.burst {
				l.fold(s.burst[i].Seq, s.burst[i].At, &s.burst[i].Event)
			}
		case err := <-followed:
			b.Fatalf("folded %d of %d: %v", l.seq, n, err)
		}
	}
	if !l.stats().Balanced {
		b.Fatal("the ledger does not balance")
	}
}

func flood(b *testing.B, w *world, all []*contract.Event) int {
	b.Helper()
	work := make(chan *contract.Event)
	done := make(chan error)
	for range 64 {
		go func() {
			var first error
			for e := range work {
				if _, err := w.stream.Publish(b.Context(), *e); err != nil && first == nil {
					first = err
				}
			}
			done <- first
		}()
	}
	for _, e := range all {
		work <- e
	}
	close(work)
	for range 64 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return len(all)
}
