package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// What ended before the stats say that documents begin goes from the index, and nothing else does.
func TestIndexRetires(t *testing.T) {
	t.Parallel()
	x, err := openIndex(filepath.Join(t.TempDir(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	var batch []change
	put := func(n int, state contract.State, submitted, updated int64) {
		batch = append(batch, changeOf(t, contract.Job{
			JobID: fmt.Sprintf("%08d-0000-0000-0000-000000000000", n), State: state, Queue: "q", Type: "t",
			SubmittedAt: contract.AtMilli(submitted), UpdatedAt: contract.AtMilli(updated),
		}))
	}
	put(1, contract.StateSucceeded, 10, 99)
	put(2, contract.StateFailed, 99, 0) // updated before it was submitted, by some clock
	put(3, contract.StateCancelled, 50, 60)
	put(4, contract.StateRunning, 10, 20)
	put(5, contract.StateSucceeded, 10, 100)
	put(6, contract.StateSucceeded, 100, 100)
	if err := x.apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	gone, err := x.retire(t.Context(), 100)
	if err != nil || len(gone) != 3 {
		t.Errorf("%v went, %v", gone, err)
	}
	docs, err := x.page(t.Context(), query{limit: 9})
	if err != nil || len(docs) != 3 {
		t.Errorf("%d are left, %v", len(docs), err)
	}
	if gone, err := x.retire(t.Context(), 100); err != nil || len(gone) != 0 {
		t.Errorf("a second time %v went, %v", gone, err)
	}
}

// follower is an index over a NATS that can be moved out of its sight.
type follower struct {
	t      *testing.T
	dir    string
	ledger *ledger
	fence  uint64
}

func (f *follower) serve(addr string) *natslocal.Server {
	f.t.Helper()
	srv, err := natslocal.Start(natslocal.Options{Addr: addr, Dir: f.dir})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(srv.Stop)
	return srv
}

func (f *follower) commit(b *stream.Bucket, stats string, changes ...stream.Change) {
	f.t.Helper()
	changes = append(changes, stream.Change{Key: contract.KeyStats, Value: []byte(stats)})
	rev, err := b.Commit(f.t.Context(), changes, stream.Fence{Key: contract.KeyCheckpoint, Revision: f.fence})
	if err != nil {
		f.t.Fatal(err)
	}
	f.fence = rev
}

func (f *follower) until(what string, ok func() bool) {
	f.t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("never came to be: %s", what)
		}
	}
}

func (f *follower) knows(id string) bool {
	_, err := f.ledger.job(f.t.Context(), id)
	if err != nil && !isNotFound(err) {
		f.t.Fatal(err)
	}
	return err == nil
}

// An api that was away for longer than the marker of a retired job is kept does not keep the job.
func TestRetiredWhileAway(t *testing.T) {
	t.Parallel()
	x, err := openIndex("")
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, dir: t.TempDir(), ledger: newLedger(slog.New(slog.DiscardHandler), x, newBells())}
	srv := f.serve("127.0.0.1:0")
	st := testenv.Dial(t, srv)
	b := f.bucket(st)
	const old, young = "01890a5d-ac96-774b-bcce-b302099a8001", "01890a5d-ac96-774b-bcce-b302099a8002"
	doc := func(id, at string) stream.Change {
		return stream.Change{Key: contract.JobKey(id), Value: fmt.Appendf(nil,
			`{"v":1,"jobId":%q,"state":"succeeded","submittedAt":%q,"updatedAt":%q}`, id, at, at)}
	}
	f.commit(b, `{}`, doc(old, "2026-01-01T00:00:00.000Z"), doc(young, "2026-02-01T00:00:00.000Z"))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- f.ledger.run(ctx, b) }()
	defer func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		x.close()
	}()
	<-f.ledger.loaded()
	if !f.knows(old) || !f.knows(young) {
		t.Fatal("the index is not loaded")
	}
	addr := srv.URL()[len("nats://"):]
	srv.Stop()

	elsewhere := f.serve("127.0.0.1:0")
	other := f.bucket(testenv.Dial(t, elsewhere))
	f.commit(other, `{"kept":{"jobs":"2026-01-15T00:00:00.000Z"}}`, stream.Change{Key: contract.JobKey(old), Delete: true, MarkerTTL: time.Second})
	f.until("the marker is gone", func() bool {
		found := false
		loaded := errors.New("loaded")
		err := other.Watch(t.Context(), contract.JobKey(old), func(stream.Entry) error { found = true; return nil }, func() error { return loaded })
		return errors.Is(err, loaded) && !found
	})
	elsewhere.Stop()

	f.serve(addr)
	f.until("the retired job is gone from the index", func() bool { return !f.knows(old) })
	if !f.knows(young) {
		t.Error("a job that has its document is gone as well")
	}
}

// bucket makes the streams, unless they are there, and opens the bucket of jobs.
func (f *follower) bucket(s *stream.Stream) *stream.Bucket {
	f.t.Helper()
	if err := s.Ensure(f.t.Context(), stream.DefaultSettings()); err != nil {
		f.t.Fatal(err)
	}
	b, err := s.Bucket(f.t.Context(), contract.BucketJobs)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}
