package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// event is a valid one, told apart from others by its job.
func event(t *testing.T, n int) contract.Event {
	t.Helper()
	id := contract.KeyID("test", fmt.Sprint(n))
	at := contract.At(time.Date(2026, 11, 21, 16, 0, n%60, 0, time.UTC))
	return contract.Event{
		Kind: contract.Queued, Source: contract.SourceAPI, Time: at, Queue: "default", Type: "probe",
		JobID: id, Run: 1, SubmittedAt: at,
	}
}

func bucket(t *testing.T, s *stream.Stream, name string) *stream.Bucket {
	t.Helper()
	b, err := s.Bucket(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPublishIsIdempotentAndFollowedInOrder(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	for n := range 5 {
		for again := range 3 { // from the second time on it is a repeat of the same id
			seq, had, err := s.PublishOnce(t.Context(), event(t, n))
			if err != nil || seq != uint64(n+1) || had != (again > 0) {
				t.Fatalf("event %d: sequence %d, had %t, error %v", n, seq, had, err)
			}
		}
	}
	var got []uint64
	stop := errors.New("enough")
	err := s.Follow(t.Context(), 2, func(st stream.Stored) error {
		got = append(got, st.Seq)
		if st.Fault != nil || st.Event.JobID != event(t, int(st.Seq)-1).JobID {
			t.Errorf("sequence %d holds %+v, fault %v", st.Seq, st.Event, st.Fault)
		}
		if st.Pending == 0 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{2, 3, 4, 5}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStoredSubjectsAreFewAndPartitionedByJob(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	if _, err := s.Publish(t.Context(), event(t, 1)); err != nil {
		t.Fatal(err)
	}
	st, err := s.Event(t.Context(), 1)
	if err != nil || st.Event.Queue != "default" {
		t.Fatalf("%+v, %v", st, err)
	}
	if _, err := s.Event(t.Context(), 2); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("an absent sequence: %v", err)
	}
	info, err := s.Info(t.Context())
	if err != nil || info.First != 1 || info.Last != 1 || info.Created.IsZero() {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestFollowIsLiveAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	seen := make(chan uint64, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Follow(ctx, 0, func(st stream.Stored) error { seen <- st.Seq; return nil })
	}()
	for n := range 3 {
		if _, err := s.Publish(t.Context(), event(t, n)); err != nil {
			t.Fatal(err)
		}
		if seq := <-seen; seq != uint64(n+1) {
			t.Fatalf("saw %d", seq)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// A stream takes a thousand consumers, and the server keeps one that nobody reads for five minutes.
func TestReadingIsOverWhenItEnds(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	b := bucket(t, s, contract.BucketClaims)
	if _, err := b.Create(t.Context(), "q.unit.a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	for n := range 1200 {
		seen := 0
		err := b.Each(t.Context(), ">", func(stream.Entry) error { seen++; return nil })
		if err != nil || seen != 1 {
			t.Fatalf("reading number %d: %d entries, %v", n+1, seen, err)
		}
	}
}

func TestBucketComparesAndSets(t *testing.T) {
	t.Parallel()
	b := bucket(t, testenv.NATS(t), contract.BucketClaims)
	ctx := t.Context()
	if _, err := b.Get(ctx, "q.unit.a"); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
	rev, err := b.Create(ctx, "q.unit.a", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "q.unit.a", []byte("2")); !errors.Is(err, stream.ErrConflict) {
		t.Errorf("create over a value: %v", err)
	}
	rev2, err := b.Update(ctx, "q.unit.a", []byte("2"), rev)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Update(ctx, "q.unit.a", []byte("3"), rev); !errors.Is(err, stream.ErrConflict) {
		t.Errorf("update of an old revision: %v", err)
	}
	if err := b.Delete(ctx, "q.unit.a", rev); !errors.Is(err, stream.ErrConflict) {
		t.Errorf("delete of an old revision: %v", err)
	}
	if err := b.Delete(ctx, "q.unit.a", rev2); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "q.unit.a", []byte("4")); err != nil {
		t.Errorf("create after a delete: %v", err)
	}
}

func TestWatchLoadsThenFollows(t *testing.T) {
	t.Parallel()
	for _, present := range []int{0, 3} {
		t.Run(fmt.Sprint(present), func(t *testing.T) {
			t.Parallel()
			b := bucket(t, testenv.NATS(t), contract.BucketJobs)
			for n := range present {
				if _, err := b.Put(t.Context(), fmt.Sprintf("job.%d", n), []byte("v")); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			steps := make(chan string, 10)
			go func() {
				_ = b.Watch(ctx, "job.*", func(e stream.Entry) error {
					steps <- fmt.Sprint(e.Key, " ", string(e.Value), " ", e.Deleted)
					return nil
				}, func() error { steps <- "loaded"; return nil })
			}()
			for n := range present {
				if got, want := <-steps, fmt.Sprintf("job.%d v false", n); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if got := <-steps; got != "loaded" {
				t.Errorf("got %s", got)
			}
			rev, _ := b.Put(t.Context(), "job.x", []byte("w"))
			if got := <-steps; got != "job.x w false" { // before the next: a value that has a successor may go unseen
				t.Errorf("got %s", got)
			}
			if err := b.Delete(t.Context(), "job.x", rev); err != nil {
				t.Fatal(err)
			}
			if got := <-steps; got != "job.x  true" {
				t.Errorf("got %s", got)
			}
			cancel()
			list, err := b.List(t.Context(), "job.*")
			if err != nil || len(list) != present {
				t.Errorf("list: %d entries, %v", len(list), err)
			}
		})
	}
}

func TestCommitIsAllOrNothingAndFenced(t *testing.T) {
	t.Parallel()
	b := bucket(t, testenv.NATS(t), contract.BucketJobs)
	ctx := t.Context()
	changes := make([]stream.Change, stream.MaxBatch-1)
	for i := range changes {
		changes[i] = stream.Change{Key: fmt.Sprintf("job.%d", i), Value: []byte("1")}
	}
	rev, err := b.Commit(ctx, changes, stream.Fence{Key: "ckpt", Value: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.Get(ctx, "ckpt")
	if err != nil || e.Revision != rev {
		t.Fatalf("the fence is at %d, the commit said %d, %v", e.Revision, rev, err)
	}
	stale := []stream.Change{{Key: "job.0", Value: []byte("2")}, {Key: "job.new", Value: []byte("2")}}
	if _, err := b.Commit(ctx, stale, stream.Fence{Key: "ckpt", Revision: rev - 1}); !errors.Is(err, stream.ErrConflict) {
		t.Errorf("a stale fence: %v", err)
	}
	if e, _ := b.Get(ctx, "job.0"); string(e.Value) != "1" {
		t.Errorf("a refused commit wrote %q", e.Value)
	}
	if _, err := b.Get(ctx, "job.new"); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("a refused commit wrote a key: %v", err)
	}
	if _, err := b.Commit(ctx, []stream.Change{{Key: "job.0", Delete: true}}, stream.Fence{Key: "ckpt", Revision: rev}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(ctx, "job.0"); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("a deleted key: %v", err)
	}
}

// A marker with an age goes by itself, and in one batch with others that stay. So a bucket does not grow by
// what was in it once.
func TestMarkersWithAnAgeGo(t *testing.T) {
	t.Parallel()
	b := bucket(t, testenv.NATS(t), contract.BucketJobs)
	put := []stream.Change{{Key: "job.a", Value: []byte("1")}, {Key: "job.b", Value: []byte("1")}}
	rev, err := b.Commit(t.Context(), put, stream.Fence{Key: "ckpt"})
	if err != nil {
		t.Fatal(err)
	}
	gone := []stream.Change{{Key: "job.a", Delete: true, MarkerTTL: time.Second}, {Key: "job.b", Delete: true}}
	if _, err := b.Commit(t.Context(), gone, stream.Fence{Key: "ckpt", Revision: rev}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "job.a"); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("a deleted key: %v", err)
	}
	deadline, tick := time.After(time.Minute), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		seen := markers(t, b)
		if diff := cmp.Diff(map[string]time.Duration{"job.b": 0}, seen); diff == "" {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after a minute there still are the markers %v", seen)
		}
	}
	if _, err := b.Create(t.Context(), "job.a", []byte("2")); err != nil {
		t.Errorf("create where nothing is left: %v", err)
	}
}

// markers are the keys that are deleted, each with the age of its marker.
func markers(t *testing.T, b *stream.Bucket) map[string]time.Duration {
	t.Helper()
	seen := make(map[string]time.Duration)
	stop := errors.New("loaded")
	err := b.Watch(t.Context(), "job.*", func(e stream.Entry) error {
		if e.Deleted {
			seen[e.Key] = e.TTL
		}
		return nil
	}, func() error { return stop })
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	return seen
}

func TestEnsureIsRepeatableAndNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	set := stream.DefaultSettings()
	if err := s.Ensure(t.Context(), set); err != nil {
		t.Errorf("a second time: %v", err)
	}
	set.EventsMaxAge *= 2
	err := s.Ensure(t.Context(), set)
	if err == nil || !strings.Contains(err.Error(), "stream EVENTS: max age is 744h0m0s, needed is 1488h0m0s") {
		t.Errorf("a shorter age than needed: %v", err)
	}
	set = stream.DefaultSettings()
	set.LongestRetention = set.ClaimsMaxAge
	if err := s.Ensure(t.Context(), set); err == nil {
		t.Error("claims that age out before their messages were accepted")
	}
}

// Counting goes on less than five seconds after its leader was killed; what is left of them is for the server to
// see that a lease is over, and for the successor's first commit.
func TestLeasesAreShort(t *testing.T) {
	t.Parallel()
	if stream.Takeover > 4*time.Second {
		t.Errorf("a leader that was killed is followed within %s", stream.Takeover)
	}
}

func TestLeaseHasOneLeaderAndPassesOn(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	leads := make(chan string, 2)
	campaign := func(name string) context.CancelFunc {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = s.Lease("test", name).Run(ctx, func(ctx context.Context) error {
				leads <- name
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		return cancel
	}
	stop := campaign("first")
	if got := <-leads; got != "first" {
		t.Fatal(got)
	}
	defer campaign("second")()
	select {
	case got := <-leads:
		t.Fatalf("%s leads beside the first", got)
	case <-time.After(stream.LeaseTTL + stream.LeaseTTL/2):
	}
	stop()
	select {
	case <-leads:
	case <-time.After(3 * stream.LeaseTTL):
		t.Fatal("nobody took over")
	}
}

func TestAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	s := testenv.Dial(t, srv)
	if err := s.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	srv.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Publish(ctx, event(t, 1)); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("publish: %v", err)
	}
	if err := s.Ready(ctx); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
}
