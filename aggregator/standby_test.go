package aggregator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// replayed checks every document of the bucket against a replay, which takes from the checkpoint by which rules each
// event was folded.
func (w *world) replayed() {
	w.t.Helper()
	got := w.shown()
	delete(got, contract.KeyAttention)
	r := NewReplay(w.stream, w.bucket, 0)
	if err := r.To(w.t.Context(), w.stats().AsOf.Seq); err != nil {
		w.t.Fatal(err)
	}
	books, err := r.Books()
	if err != nil {
		w.t.Fatal(err)
	}
	want := told(w.t, books)
	for id := range r.Jobs() {
		want[contract.JobKey(id)] = string(r.Job(id))
	}
	if d := cmp.Diff(want, got); d != "" || r.Foreign() != 0 || !r.Whole() {
		w.t.Errorf("whole %v, another version's to %d; a replay gives another ledger:\n%s", r.Whole(), r.Foreign(), d)
	}
}

// fresh says n jobs that are submitted at seconds after the epoch, and do not end.
func (a *author) fresh(from, n int, seconds float64) []said {
	begin := len(a.all)
	for i := range n {
		e := event(testID(from+i), 1, 0, contract.Submitted, seconds)
		e.SubmittedAt = e.Time
		a.say(e)
	}
	return a.all[begin:]
}

// A roll-out that changes the retention: the new standby has loaded and folded what the old leader, by the old
// retention, commits. When it leads, the sums are the truth all the same, a replay gives the very bytes, and it stays
// so over a restart and for a standby with the same rules.
func TestARollOutThatChangesTheRetention(t *testing.T) {
	t.Parallel()
	for _, r := range [][2]time.Duration{{24 * time.Hour, time.Hour}, {time.Hour, 24 * time.Hour}} {
		t.Run(fmt.Sprint(r), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			author := newAuthor(15)
			for n := range 40 {
				author.life(testID(n), 1, contract.Succeeded)
			}
			one := w.follower(r[0])
			end := one.lead()
			w.settled(one.Aggregator, w.publish(author.all))
			two := w.follower(r[1])
			w.eventually("the new standby is loaded", two.Ready)
			seq := w.publish(author.fresh(1000, 5, 7200))
			w.settled(one.Aggregator, seq)
			w.settled(two.Aggregator, seq)
			if err := two.Ready(); err != nil {
				t.Errorf("a roll-out waits for the new standby: %v", err)
			}
			end()
			one.stop()
			w.publish(author.fresh(1500, 1, 7200)) // while nobody leads
			end = two.lead()
			w.settled(two.Aggregator, w.publish(author.fresh(2000, 3, 7200)))
			true40(w, 9)
			w.publish([]said{{event: event(testID(3), 1, 1, contract.AttemptFailed, 5)}}) // of a job that may be gone
			three := w.follower(r[1])
			w.eventually("a standby with the new rules is loaded", three.Ready)
			w.settled(three.Aggregator, w.publish(author.fresh(3000, 8, 7300)))
			loads := three.bucket.loads.Load()
			end()
			two.stop()
			end = three.lead()
			w.settled(three.Aggregator, w.publish(author.fresh(4000, 1, 7300)))
			if n := three.bucket.loads.Load() - loads; n > 1 { // now and then a commit of the one before is on its way, and wins
				t.Errorf("a standby with the leader's rules loaded %d times to take over", n)
			}
			true40(w, 18)
			end()
			three.stop()
			four := w.follower(r[1])
			defer four.lead()()
			w.settled(four.Aggregator, w.publish(author.fresh(5000, 1, 7300)))
			true40(w, 19)
		})
	}
}

// true40 checks the books of forty jobs that succeeded and some that wait.
func true40(w *world, waiting int) {
	w.t.Helper()
	s := w.stats()
	if s.Jobs.Submitted != 40+waiting || s.Jobs.Accepted != waiting || s.Jobs.Succeeded != 40 || s.SucceedJob != 40 || !s.Balanced {
		w.t.Errorf("%d jobs wait, stats %+v %+v", waiting, s.Jobs, s.Balance)
	}
	w.replayed()
}

// member is an aggregator that leads when it is told to.
type member struct {
	*Aggregator
	*baton
	bucket *bent
	stop   func()
}

func (w *world) follower(retention time.Duration) *member {
	w.t.Helper()
	m := &member{baton: newBaton(), bucket: &bent{Bucket: w.bucket}}
	o := w.options()
	o.Retention, o.Lease, o.Bucket = retention, m.baton, m.bucket
	m.Aggregator, m.stop = w.start(o)
	return m
}

// A job that went by a short retention stays gone under a longer one, and what is said of it is late, not a new job.
func TestWhatIsGoneStaysGone(t *testing.T) {
	t.Parallel()
	author := newAuthor(1)
	author.life(testID(1), 1, contract.Succeeded)
	author.fresh(2, 1, 7200)
	l := fill(newLedger(rules{retention: time.Hour, window: DefaultWindow}), author.check(t))
	if len(l.jobs) != 1 {
		t.Fatalf("%d documents", len(l.jobs))
	}
	l.rules.retention = 24 * time.Hour
	l = rebuild(t, l)
	l.fold(l.seq+1, epoch.Add(2*time.Hour), event(testID(1), 1, 1, contract.AttemptFailed, 5))
	if s := l.stats(); s.Jobs.Submitted != 2 || s.Balance.Late != 1 || !s.Balanced || !s.Kept.Jobs.Equal(epoch.Add(time.Hour)) {
		t.Errorf("%+v, %+v, kept %+v", s.Jobs, s.Balance, s.Kept)
	}
	keptIsTrue(t, l)
}

// A checkpoint that does not say by which rules it came about is loaded and carried on, once; nothing of it is held
// to a replay that cannot know.
func TestACheckpointWithoutRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	author := newAuthor(1)
	author.life(testID(1), 1, contract.Succeeded)
	a, stop := w.start(w.options())
	seq := w.publish(author.all)
	w.settled(a, seq)
	stop()
	e, err := w.bucket.Get(t.Context(), contract.KeyCheckpoint)
	var old map[string]any
	if err == nil {
		err = json.Unmarshal(e.Value, &old)
	}
	if err != nil || old["eras"] == nil || old["floor"] == nil {
		t.Fatalf("%v: %s", err, e.Value)
	}
	delete(old, "eras")
	delete(old, "floor")
	value, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	put := w.put(stream.Change{Key: contract.KeyStats, Value: []byte(w.shown()[contract.KeyStats])}, value, e.Revision)
	b := &bent{Bucket: w.bucket}
	o := w.options()
	o.Bucket = b
	_, stop = w.start(o)
	w.eventually("the rules are written though nothing comes", func() error {
		e, err := w.bucket.Get(t.Context(), contract.KeyCheckpoint)
		if err == nil && e.Revision == put {
			err = fmt.Errorf("still %s", e.Value)
		}
		return err
	})
	stop()
	all, err := erasOf(t.Context(), w.bucket)
	if want := (eras{{}, {seq, foldVersion, DefaultRetention.Milliseconds(), DefaultWindow.Milliseconds()}}); err != nil || !cmp.Equal(all, want) {
		t.Errorf("eras %+v, want %+v; %v", all, want, err)
	}
	r := NewReplay(w.stream, w.bucket, 0)
	if err := r.To(t.Context(), seq); err != nil || r.Foreign() != seq || r.Whole() {
		t.Errorf("another version's to %d of %d, whole %v: %v", r.Foreign(), seq, r.Whole(), err)
	}
	w.same()
}

// put writes a checkpoint in the place of another.
func (w *world) put(c stream.Change, checkpoint []byte, after uint64) (revision uint64) {
	w.t.Helper()
	revision, err := w.bucket.Commit(w.t.Context(), []stream.Change{c}, stream.Fence{Key: contract.KeyCheckpoint, Value: checkpoint, Revision: after})
	if err != nil {
		w.t.Fatal(err)
	}
	return revision
}

// Eras without an event are none, those of the same rules are one, and there is a bound.
func TestEras(t *testing.T) {
	t.Parallel()
	day, hour := rules{retention: 24 * time.Hour, window: time.Minute}, rules{retention: time.Hour, window: time.Minute}
	all := eras(nil).then(day.era(0))
	for _, c := range []struct {
		rules rules
		after uint64
		want  eras
	}{
		{day, 5, eras{day.era(0)}},
		{hour, 7, eras{day.era(0), hour.era(7)}},
		{day, 7, eras{day.era(0)}},
		{hour, 8, eras{day.era(0), hour.era(8)}},
		{day, 9, eras{day.era(0), hour.era(8), day.era(9)}},
	} {
		if all = all.then(c.rules.era(c.after)); !cmp.Equal(all, c.want) {
			t.Fatalf("after %d: %+v, want %+v", c.after, all, c.want)
		}
	}
	for seq, want := range map[uint64]rules{1: day, 8: day, 9: hour, 10: day} {
		if got := all.rules(seq, rules{}); got != want {
			t.Errorf("event %d is folded by %+v, want %+v", seq, got, want)
		}
	}
	if n := all.foreign(); n != 0 || !all.by(&day) || all.by(&hour) {
		t.Errorf("foreign to %d", n)
	}
	for n := range uint64(2 * maxEras) {
		r := rules{retention: time.Duration(n+1) * time.Second, window: time.Minute}
		all = all.then(r.era(20 + n))
	}
	if len(all) != maxEras || all[0] != (era{}) || all.foreign() != all[1].After || all.rules(1, day) != day {
		t.Errorf("%d eras, foreign to %d: %+v", len(all), all.foreign(), all)
	}
}

// foldDigest is what one version of the fold makes of a fixed stream.
const foldDigest = "5fc729b0a0a5d569"

// A fold that makes another ledger of the same events is another version, or two programs in a roll-out would each go
// on with what the other wrote.
func TestTheFoldIsOfItsVersion(t *testing.T) {
	t.Parallel()
	a := newAuthor(7)
	a.chaos(40, 1500)
	a.units(30)
	shown := view(t, fill(newLedger(testRules), a.check(t)))
	digest := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(shown)) {
		_, _ = fmt.Fprintf(digest, "%s\n%s\n", key, shown[key])
	}
	if got := hex.EncodeToString(digest.Sum(nil)[:8]); got != foldDigest {
		t.Errorf("the fold's digest is %s, not %s: raise foldVersion, and write the new digest here", got, foldDigest)
	}
}
