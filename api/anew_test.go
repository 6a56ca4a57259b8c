package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// keeper commits as the aggregator does.
type keeper struct {
	w     *world
	fence uint64
}

// commit writes the document of one more job that has succeeded, and the stats of so many.
func (k *keeper) commit(id string, succeeded int) {
	k.w.t.Helper()
	at := contract.At(noon)
	job := contract.Job{
		V: 1, JobID: id, Queue: "default", Type: "probe", Run: 1, State: contract.StateSucceeded, SubmittedAt: at, UpdatedAt: at,
		Runs: []contract.JobRun{{Run: 1, SubmittedAt: at}},
	}
	stats := noStats()
	stats.SucceedJob, stats.Jobs.Submitted, stats.Jobs.Succeeded = succeeded, succeeded, succeeded
	var changes []stream.Change
	add := func(key string, v any) {
		value, err := json.Marshal(v)
		if err != nil {
			k.w.t.Fatal(err)
		}
		changes = append(changes, stream.Change{Key: key, Value: value})
	}
	add(contract.JobKey(id), &job)
	add(contract.KeyStats, &stats)
	var err error
	k.fence, err = k.w.bucket(contract.BucketJobs).Commit(k.w.t.Context(), changes,
		stream.Fence{Key: contract.KeyCheckpoint, Value: []byte("{}"), Revision: k.fence})
	if err != nil {
		k.w.t.Fatal(err)
	}
}

func jobNumber(n int) string { return fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a%04d", n) }

// The runbook's way to mend books: stop the aggregator, `nats kv del jobs`, start it. Whoever serves them meanwhile
// comes to show the new ones by itself, and nothing of the old.
func TestServesBooksThatWereMadeAnew(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"memory": "", "file": filepath.Join(t.TempDir(), "index.db")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newServer(t, func(o *Options) { o.IndexPath = path })
			w.run(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			shows := func(succeeded int) bool {
				a := w.get("/jobs/stats")
				return a.status == 200 && strings.HasPrefix(string(a.body), fmt.Sprintf(`{"succeedJob":%d,`, succeeded))
			}
			old := keeper{w: w}
			for n := 1; n <= 20; n++ {
				old.commit(jobNumber(n), n)
			}
			w.eventually("the old books", func() bool { return shows(20) })
			w.get("/jobs/" + jobNumber(1)).want(200)
			follower := w.follow("/jobs/stats", header{"Accept", "text/event-stream"})
			if e, ok := follower.next(); !ok || !strings.HasPrefix(e.data, `{"succeedJob":20,`) {
				t.Fatalf("%+v", e)
			}

			deleteJobs(t, w.nats.URL())
			testenv.MakeStreams(t, w.stream)
			anew := keeper{w: w}
			anew.commit(jobNumber(101), 1) // fewer revisions than were seen
			w.eventually("the new books", func() bool { return shows(1) })
			w.get("/jobs/" + jobNumber(101)).want(200)
			w.get("/jobs/" + jobNumber(1)).want(404)
			var list struct{ Jobs []summary }
			if w.get("/jobs?state=succeeded").want(200).into(&list); len(list.Jobs) != 1 || list.Jobs[0].JobID != jobNumber(101) {
				t.Errorf("listed are %+v", list.Jobs)
			}
			e, ok := follower.next()
			for ok && strings.HasPrefix(e.data, `{"succeedJob":0,`) { // the new bucket was read while nothing was in it
				e, ok = follower.next()
			}
			if !ok || !strings.HasPrefix(e.data, `{"succeedJob":1,`) {
				t.Errorf("who follows is told %+v", e)
			}
			anew.commit(jobNumber(102), 2)
			w.eventually("what comes later", func() bool { return shows(2) })
			follower.close()
		})
	}
}

// deleteJobs is `nats kv del jobs`.
func deleteJobs(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), contract.BucketJobs); err != nil {
		t.Fatal(err)
	}
}

// lives are buckets of one name, one after another: each is read when the test lets it, and ended when the test
// says so.
type lives struct {
	read, end chan struct{}
	replays   []replay
}

func (l *lives) Watch(ctx context.Context, _ string, fn func(stream.Entry) error, loaded func() error) error {
	one := l.replays[0]
	l.replays = l.replays[1:]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-l.read:
	case <-l.end:
		return stream.ErrAnew
	case <-ctx.Done():
		return ctx.Err()
	}
	done := make(chan error, 1)
	go func() { done <- one.Watch(ctx, ">", fn, loaded) }()
	select {
	case err := <-done:
		return err
	case <-l.end:
		cancel()
		<-done
		return stream.ErrAnew
	}
}

// Between the old books and the new there are none: nobody is told of the old ones, nor of an empty ledger, however
// often the bucket is made anew before it has been read.
func TestBooksThatAreReadAnewAreNotReady(t *testing.T) {
	t.Parallel()
	x, err := openIndex("")
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	l := newLedger(slog.New(slog.DiscardHandler), x, newBells())
	doc := func(n int) replay {
		return replay{{Key: contract.JobKey(jobNumber(n)), Value: []byte(`{"v":1,"jobId":"` + jobNumber(n) + `","state":"queued","submittedAt":"2026-01-01T00:00:00.000Z"}`)}}
	}
	b := &lives{read: make(chan struct{}), end: make(chan struct{}), replays: []replay{doc(1), doc(2), doc(3)}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx, b) }()
	b.read <- struct{}{}
	<-l.loaded()
	if _, err := l.job(ctx, jobNumber(1)); err != nil {
		t.Fatal(err)
	}
	rings, takeDown := l.bells.hang(jobNumber(1))
	defer takeDown()
	b.end <- struct{}{}
	<-rings // who waits for a job of the old books looks again
	if _, err := l.job(ctx, jobNumber(1)); contract.CodeOf(err) != contract.CodeUnavailable {
		t.Errorf("while the books are read anew: %v", err)
	}
	waits := l.loaded()
	b.end <- struct{}{}
	b.read <- struct{}{}
	<-waits
	if _, err := l.job(ctx, jobNumber(3)); err != nil {
		t.Errorf("a job of the new books: %v", err)
	}
	for n := 1; n <= 2; n++ {
		if _, err := l.job(ctx, jobNumber(n)); !isNotFound(err) {
			t.Errorf("job %d of old books: %v", n, err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
