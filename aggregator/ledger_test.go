package aggregator

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// view is everything that a ledger shows, as bytes.
func view(t testing.TB, l *ledger) map[string]string {
	t.Helper()
	v := make(map[string]string)
	put := func(key string, value any) {
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		v[key] = string(b)
	}
	var j job
	for id, p := range l.jobs {
		p.unpack(&j)
		v[contract.JobKey(id.String())] = string(j.document(nil, id, l.queues.list, l.types.list))
	}
	kept := contract.KeptAt(l.horizon)
	for key, books := range showBooks(allBooks(l), &kept) {
		v[key] = books
	}
	put(contract.KeyStats, l.stats())
	put(contract.KeyAttention, l.attention())
	return v
}

// shuffled is the events in another order, a fifth of them twice.
func shuffled(all []said, rng *rand.Rand) []said {
	out := slices.Clone(all)
	for range len(all) / 5 {
		out = append(out, all[rng.IntN(len(all))])
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// A ledger does not depend on the order of the events nor on how often each is said, whatever the
// voices contradict one another in.
func TestFoldIsCommutativeAndIdempotent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		a := newAuthor(seed)
		a.chaos(1+a.rng.IntN(20), 10+a.rng.IntN(600))
		a.units(20)
		all := a.check(t)
		want := view(t, fill(newLedger(testRules), all))
		for range 5 {
			got := view(t, fill(newLedger(testRules), shuffled(all, a.rng)))
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("seed %d: another order gives another ledger:\n%s", seed, d)
			}
		}
	}
}

// The sums, kept by taking out and putting in, are those of the documents; and a ledger that is rebuilt
// from its documents and its checkpoint is the same to the byte, and goes on to be the same.
func TestDocumentsGiveTheLedgerBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		a := newAuthor(seed)
		a.chaos(1+a.rng.IntN(20), 10+a.rng.IntN(600))
		a.units(20)
		all := a.check(t)
		half := len(all) / 2
		l := fill(newLedger(testRules), all[:half])
		back := rebuild(t, l)
		if d := cmp.Diff(view(t, l), view(t, back)); d != "" {
			t.Fatalf("seed %d: the ledger from its documents is another:\n%s", seed, d)
		}
		for id, p := range l.jobs {
			if want, got := unpacked(p, l), unpacked(back.jobs[id], back); want != got {
				t.Fatalf("seed %d: job %s:\nwas  %s\nback %s", seed, id, want, got)
			}
		}
		if d := cmp.Diff(view(t, fill(l, all[half:])), view(t, fill(back, all[half:]))); d != "" {
			t.Fatalf("seed %d: the ledger from its documents goes another way:\n%s", seed, d)
		}
	}
}

// unpacked spells a packed job out, with names in the place of their numbers.
func unpacked(p packed, l *ledger) string {
	var j job
	p.unpack(&j)
	queue, kind := l.queues.list[j.queue], l.types.list[j.kind]
	j.queue, j.kind = 0, 0
	return fmt.Sprintf("%s %s %+v", queue, kind, j)
}

// rebuild makes a ledger of another's documents and checkpoint, by way of their bytes.
func rebuild(t testing.TB, l *ledger) *ledger {
	t.Helper()
	back, sums := reload(t, l)
	if off := back.books.off(sums); off != 0 {
		t.Fatalf("%d sums differ from those of the documents", off)
	}
	return back
}

// reload makes a ledger of another's documents and checkpoint, and gives what their sums must be.
func reload(t testing.TB, l *ledger) (back *ledger, sums []contract.Book) {
	t.Helper()
	b, err := json.Marshal(l.checkpoint())
	if err != nil {
		t.Fatal(err)
	}
	var c checkpoint
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	back, err = c.restore(l.rules)
	if err != nil {
		t.Fatal(err)
	}
	sums = reread(t, l, back)
	for key, doc := range view(t, l) {
		if _, ok := contract.JobIDOfKey(key); !ok {
			continue
		}
		var d contract.Job
		if err := json.Unmarshal([]byte(doc), &d); err != nil {
			t.Fatal(err)
		}
		if err := back.admit(&d); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	return back, sums
}

// reread hands every book and window of a ledger to another, by way of their bytes, and gives the books.
func reread(t testing.TB, l, back *ledger) (sums []contract.Book) {
	t.Helper()
	for _, d := range allBooks(l) {
		b, err := json.Marshal(&d)
		if err != nil {
			t.Fatal(err)
		}
		var again contract.Book
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		if err := back.books.read(&again, &back.queues, &back.types); err != nil {
			t.Fatal(err)
		}
		if again.Span == "" {
			sums = append(sums, again)
		}
	}
	return sums
}

// allBooks is every document that the ledger's books have.
func allBooks(l *ledger) []contract.Book { return slices.Collect(l.books.all()) }

// At every sequence each job is in one state, and the seed's identities hold: failedJob - jobRetry runs
// ended failed, succeedJob + failedJob - jobRetry runs ended so or well.
func TestLedgerBalancesAtEverySequence(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		a := newAuthor(seed)
		a.chaos(10, 400)
		l := newLedger(testRules)
		for _, s := range a.check(t) {
			fill(l, []said{s})
			st := l.stats()
			c := st.Jobs
			sum := c.Accepted + c.Queued + c.Running + c.Retrying + c.Succeeded + c.Failed + c.Cancelled
			if sum != c.Submitted || sum != len(l.jobs) || st.Balance.Off != 0 {
				t.Fatalf("seed %d at %d: %d jobs, states %+v, balance %+v", seed, s.seq, len(l.jobs), c, st.Balance)
			}
			if l.books.total.Sums[contract.CellRunsFailed] != int64(st.FailedJob-st.JobRetry) || st.JobRetry < 0 {
				t.Fatalf("seed %d at %d: failedJob %d, jobRetry %d, runs failed %d", seed, s.seq, st.FailedJob, st.JobRetry, l.books.total.Sums[contract.CellRunsFailed])
			}
			failures := 0
			for _, n := range st.Failures {
				failures += n
			}
			if failures != st.FailedJob {
				t.Fatalf("seed %d at %d: %d failures by reason, failedJob %d", seed, s.seq, failures, st.FailedJob)
			}
		}
	}
}

// The original's two samples [A2, A4].
func TestSeedArithmetic(t *testing.T) {
	t.Parallel()
	type keys struct{ SucceedJob, JobRetry, FailedJob int }
	cases := []struct {
		name string
		say  func(*author)
		want keys
	}{
		{"one well, one failed three times", func(a *author) {
			a.life(testID(1), 1, contract.Succeeded)
			a.life(testID(2), 3, contract.Failed)
		}, keys{1, 2, 3}},
		{"thirteen well, three failed", func(a *author) {
			for n := range 13 {
				a.life(testID(n), 1+n%2, contract.Succeeded) // 6 of them at the second try
			}
			for n := range 3 {
				a.life(testID(100+n), 3, contract.Failed)
			}
		}, keys{13, 12, 15}},
		{"a run that failed without an attempt", func(a *author) {
			a.say(event(testID(1), 1, 0, contract.Submitted, 0))
			a.say(event(testID(1), 1, 0, contract.Failed, 1))
		}, keys{0, 0, 1}},
	}
	for _, c := range cases {
		a := newAuthor(1)
		c.say(a)
		s := fill(newLedger(testRules), a.check(t)).stats()
		if got := (keys{s.SucceedJob, s.JobRetry, s.FailedJob}); got != c.want || !s.Balanced {
			t.Errorf("%s: %+v balanced %v, want %+v", c.name, got, s.Balanced, c.want)
		}
	}
}

// Sums are kept for each queue and each type, and beyond the bound in one sum of all others.
func TestSumsByQueueAndTypeAreBounded(t *testing.T) {
	t.Parallel()
	a := newAuthor(1)
	for n := range contract.MaxBooks + 10 {
		e := event(testID(n), 1, 0, contract.Submitted, 0)
		e.Queue, e.Type = fmt.Sprint("q", n), fmt.Sprint("t", n%3)
		a.say(e)
	}
	l := fill(newLedger(testRules), a.check(t))
	s := l.stats()
	if len(s.ByQueue) != contract.MaxBooks+1 || s.ByQueue[contract.OtherBooks].Jobs.Submitted != 10 || s.ByQueue["q0"].Jobs.Submitted != 1 {
		t.Errorf("%d queues, others %+v", len(s.ByQueue), s.ByQueue[contract.OtherBooks])
	}
	if len(s.ByType) != 4 || s.ByType["t0"].Jobs.Accepted == 0 || !s.Balanced {
		t.Errorf("types %+v", s.ByType)
	}
	back := rebuild(t, l)
	if d := cmp.Diff(view(t, l), view(t, back)); d != "" {
		t.Error(d)
	}
}

// keptIsTrue: no job that ended before what the stats say is kept has a document.
func keptIsTrue(t *testing.T, l *ledger) {
	t.Helper()
	since := l.kept().Jobs
	if since.IsZero() {
		t.Fatal("jobs are kept from no time on")
	}
	for id, p := range l.jobs {
		if p.unpack(&l.probe); l.probe.state().Ended() && l.probe.latest() < since.UnixMilli() {
			t.Fatalf("job %s ended at %d, and the stats say that jobs are kept from %s on", id, l.probe.latest(), since)
		}
	}
}

// An ended job goes when it is older than the retention, its sums stay, and what comes later of it
// counts as late; so does an event of a job that nobody knows and that is older.
func TestRetention(t *testing.T) {
	t.Parallel()
	a := newAuthor(1)
	for n := range 30 {
		a.life(testID(n), 1, contract.Succeeded)
	}
	a.say(event(testID(99), 1, 0, contract.Submitted, 0)) // never ends, so it stays
	l := fill(newLedger(testRules), a.check(t))
	later := func(job string) *contract.Event {
		e := event(job, 1, 0, contract.Submitted, 31*24*3600)
		e.SubmittedAt = e.Time
		return e
	}
	gone := 0
	for n := range 5 { // each event makes a bounded number go
		touched := l.fold(a.seq+uint64(n)+1, epoch.Add(32*24*time.Hour), later(testID(1000+n)))
		for _, id := range touched {
			if _, ok := l.jobs[id]; !ok {
				gone++
			}
		}
		keptIsTrue(t, l)
		if len(touched) > maxRetired+1 {
			t.Errorf("one event changed %d documents", len(touched))
		}
	}
	s := l.stats()
	if gone != 30 || len(l.jobs) != 6 || s.Jobs.Succeeded != 30 || s.SucceedJob != 30 || s.Latency.Work.Count != 30 || !s.Balanced {
		t.Errorf("%d went, %d are left, stats %+v", gone, len(l.jobs), s)
	}
	if want := epoch.Add(24 * time.Hour); !s.Kept.Jobs.Equal(want) {
		t.Errorf("jobs are kept from %s on, want %s", s.Kept.Jobs, want)
	}
	if d := cmp.Diff(view(t, l), view(t, rebuild(t, l))); d != "" {
		t.Error(d)
	}
	for _, known := range []string{testID(3), testID(77)} {
		l.fold(l.seq+1, epoch.Add(32*24*time.Hour), event(known, 1, 1, contract.AttemptFailed, 5))
	}
	if s := l.stats(); s.Balance.Late != 2 || s.Jobs.Submitted != 36 || !s.Balanced {
		t.Errorf("late %d, submitted %d, balanced %v", s.Balance.Late, s.Jobs.Submitted, s.Balanced)
	}
}

// A job that is to go, but has not yet because many are, takes what comes: its document is there, and who read it may
// have asked for a further run. With that it lives again, and stays.
func TestAJobThatIsToGoTakesWhatComes(t *testing.T) {
	t.Parallel()
	a := newAuthor(1)
	for n := range 5 * maxRetired {
		a.life(testID(n), 1, contract.Succeeded)
	}
	l := fill(newLedger(testRules), a.check(t))
	now := epoch.Add(32 * 24 * time.Hour)
	later := event(testID(1000), 1, 0, contract.Submitted, 31*24*3600)
	later.SubmittedAt = later.Time
	l.fold(l.seq+1, now, later)
	left := slices.SortedFunc(maps.Keys(l.jobs), func(a, b jobID) int { return strings.Compare(a.String(), b.String()) })
	asked := left[slices.IndexFunc(left, func(id jobID) bool { return id.String() != testID(1000) })]
	l.fold(l.seq+1, now, event(asked.String(), 2, 0, contract.Submitted, 31*24*3600))
	for range 5 {
		l.fold(l.seq+1, now, later)
	}
	d := l.jobs[asked]
	if d == "" || len(l.jobs) != 2 || l.balance.Late != 0 {
		t.Fatalf("%d documents, late %d", len(l.jobs), l.balance.Late)
	}
	if s := l.stats(); s.Jobs.Submitted != 5*maxRetired+1 || s.Jobs.Accepted != 2 || s.SucceedJob != 5*maxRetired || !s.Balanced {
		t.Errorf("%+v", s)
	}
}

// A job is asked for again after a quiet time that was longer than the retention. Nothing has made its document go, so
// the run counts as any other, by whichever event the time moves on, and so does all of it when it comes twice.
func TestARequeueAfterAQuietTime(t *testing.T) {
	t.Parallel()
	const day = 24 * 3600
	id, a := testID(1), newAuthor(1)
	a.life(id, 3, contract.Failed)
	first := len(a.all)
	a.say(event(id, 2, 0, contract.Submitted, 4*day))
	a.say(event(id, 2, 0, contract.Queued, 4*day+1))
	a.say(event(id, 2, 1, contract.Claimed, 4*day+2))
	a.say(event(id, 2, 1, contract.Started, 4*day+3))
	a.say(event(id, 2, 1, contract.Succeeded, 4*day+4))
	all := a.check(t)
	for n := range 20 {
		l := fill(newLedger(rules{retention: 3 * day * time.Second, window: DefaultWindow}), all[:first])
		if n > 0 {
			all = append(all[:first:first], shuffled(all[first:], a.rng)...)
		}
		for _, s := range all[first:] {
			fill(l, []said{s})
			if len(l.jobs) != 1 || l.balance.Late != 0 {
				t.Fatalf("at %s: %d documents, late %d", s.event.ID(), len(l.jobs), l.balance.Late)
			}
			l = rebuild(t, l)
		}
		s := l.stats()
		if s.Jobs.Submitted != 1 || s.Jobs.Succeeded != 1 || s.SucceedJob != 1 || s.FailedJob != 3 || s.JobRetry != 2 || !s.Balanced {
			t.Fatalf("%+v", s)
		}
		next := event(testID(2), 1, 0, contract.Submitted, 8*day)
		next.SubmittedAt = next.Time
		l.fold(l.seq+1, next.Time.Time, next)
		if s := l.stats(); len(l.jobs) != 1 || s.Jobs.Succeeded != 1 || s.SucceedJob != 1 || !s.Balanced {
			t.Fatalf("the run ended before the retention, and the job is still there: %+v", s)
		}
	}
}

// How long each stage took, and what was wasted: from times that are told here one by one.
func TestStagesAndWasteAreTimed(t *testing.T) {
	t.Parallel()
	id, a := testID(1), newAuthor(1)
	made := event(id, 1, 1, contract.Claimed, 1.040)
	made.Source, made.MadeAt, made.Millicores, made.MiB = contract.SourceBridge, contract.At(epoch.Add(1025*time.Millisecond)), 500, 2000
	for _, e := range []*contract.Event{
		made, // unit: 15 ms, boot: 5 ms; waste: half a core and 2000 MiB
		event(id, 1, 0, contract.Submitted, 1),
		event(id, 1, 0, contract.Queued, 1.010),        // queue: 10 ms
		event(id, 1, 1, contract.Claimed, 1.030),       // claim: 20 ms
		event(id, 1, 1, contract.Started, 1.033),       // start: 3 ms
		event(id, 1, 1, contract.AttemptFailed, 1.045), // work: 12 ms; waste: 15 ms
		event(id, 1, 2, contract.Claimed, 2.000),
		event(id, 1, 2, contract.Started, 2.003),          // start: 3 ms
		event(id, 1, 2, contract.AttemptDisrupted, 2.015), // work: 12 ms; waste: 15 ms
		event(id, 1, 3, contract.Claimed, 3.000),          // superseded by the next; waste: 1 s
		event(id, 1, 4, contract.Claimed, 4.000),
		event(id, 1, 4, contract.Started, 4.003),   // start: 3 ms
		event(id, 1, 4, contract.Succeeded, 4.015), // work: 12 ms; overall: 3015 ms
	} {
		a.say(e)
	}
	s := fill(newLedger(testRules), a.check(t)).stats()
	of := func(count int, seconds, mean float64) contract.Latency {
		return contract.Latency{Count: count, P50: seconds, P95: seconds, P99: seconds, Max: seconds, Mean: mean}
	}
	var h contract.Histogram
	h.Add(3015, 1)
	overall := h.Latency().P50
	want := contract.Latencies{
		Queue: of(1, 0.010, 0.010), Unit: of(1, 0.015, 0.015), Boot: of(1, 0.005, 0.005), Claim: of(1, 0.020, 0.020), Start: of(3, 0.003, 0.003), Work: of(3, 0.012, 0.012),
		Overall: of(1, overall, 3.015),
	}
	if d := cmp.Diff(want, s.Latency); d != "" {
		t.Error(d)
	}
	if want := (contract.Waste{
		AttemptSeconds: 1.030, WorkSeconds: 0.015, CPUSeconds: 0.514, MemoryMiBSeconds: 2060, Known: 3,
	}); s.Waste != want {
		t.Errorf("waste %+v, want %+v", s.Waste, want)
	}
}

// That a job goes depends on the events alone, not on when it was loaded: a ledger that is rebuilt in
// between loses the same jobs at the same events.
func TestRetentionIsPartOfTheFold(t *testing.T) {
	t.Parallel()
	a := newAuthor(3)
	for n := range 200 {
		begin := float64(a.rng.IntN(60 * 24 * 3600))
		for _, e := range []*contract.Event{
			event(testID(n), 1, 0, contract.Submitted, begin), event(testID(n), 1, 1, contract.Claimed, begin+1),
			event(testID(n), 1, 1, contract.Succeeded, begin+2),
			event(testID(n), 2, 0, contract.Submitted, begin+float64(a.rng.IntN(40*24*3600))), // asked for again, maybe too late
		} {
			e.SubmittedAt = contract.At(epoch.Add(time.Duration(begin) * time.Second))
			a.say(e)
		}
	}
	all := a.check(t)
	a.rng.Shuffle(len(all), func(i, j int) { all[i].event, all[j].event = all[j].event, all[i].event })
	for i := range all {
		all[i].stored = epoch.Add(100 * 24 * time.Hour)
	}
	l, back := newLedger(testRules), newLedger(testRules)
	for i := range all {
		fill(l, all[i:i+1])
		fill(back, all[i:i+1])
		if a.rng.IntN(10) == 0 {
			back = rebuild(t, back)
		}
		if len(l.jobs) != len(back.jobs) || l.balance != back.balance {
			t.Fatalf("at %d: %d jobs %+v, rebuilt %d jobs %+v", i, len(l.jobs), l.balance, len(back.jobs), back.balance)
		}
		keptIsTrue(t, l)
		if l.kept() != back.kept() {
			t.Fatalf("at %d: kept %+v, rebuilt %+v", i, l.kept(), back.kept())
		}
	}
	if d := cmp.Diff(view(t, l), view(t, back)); d != "" {
		t.Errorf("the ledger that was rebuilt on the way is another:\n%s", d)
	}
	if l.books.gone() == 0 || l.balance.Late == 0 {
		t.Errorf("%d retired, %d late: the test shows nothing", l.books.gone(), l.balance.Late)
	}
}

// What nobody can read, and what no longer fits a job, is counted and stops nothing.
func TestUnknownEventsAreCounted(t *testing.T) {
	t.Parallel()
	a := newAuthor(1)
	a.all = append(a.all, said{1, epoch, nil})
	a.seq = 1
	for run := 1; run <= maxEntries+50; run++ {
		a.say(event(testID(1), run, 0, contract.Submitted, 0))
	}
	l := fill(newLedger(testRules), a.check(t))
	s := l.stats()
	if want := 1 + 50 + 1; s.Balance.Unknown != want || !s.Balanced || s.AsOf.Seq != a.seq {
		t.Errorf("unknown %d, want %d; balanced %v at %d", s.Balance.Unknown, want, s.Balanced, s.AsOf.Seq)
	}
	if n := len(view(t, l)[contract.JobKey(testID(1))]); n > contract.MaxEventBytes {
		t.Errorf("the largest document has %d bytes", n)
	}
}

func TestOrphansUnbalance(t *testing.T) {
	t.Parallel()
	l := newLedger(testRules)
	l.fold(1, epoch, event(testID(1), 1, 1, contract.Claimed, 0))
	if s := l.stats(); s.Balanced || s.Balance.Orphans != 1 {
		t.Errorf("balanced %v, balance %+v", s.Balanced, s.Balance)
	}
	l.fold(2, epoch, event(testID(1), 1, 0, contract.Submitted, 0))
	if s := l.stats(); !s.Balanced || s.Balance.Orphans != 0 {
		t.Errorf("balanced %v, balance %+v", s.Balanced, s.Balance)
	}
}

func TestJobIDsAreWrittenAsRead(t *testing.T) {
	t.Parallel()
	want := testID(1)
	if id, ok := parseJobID(want); !ok || id.String() != want {
		t.Errorf("%s became %s, %v", want, id, ok)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 { // one byte is another
		b := []byte(want)
		b[rng.IntN(len(b))] = byte(rng.IntN(256))
		if _, ok := parseJobID(string(b)); ok != contract.ValidJobID(string(b)) {
			t.Fatalf("%q was taken for a job id: %v", b, ok)
		}
	}
	for _, s := range []string{"no job", "", want + "0", want[1:]} {
		if _, ok := parseJobID(s); ok {
			t.Errorf("%q was taken for a job id", s)
		}
	}
}
