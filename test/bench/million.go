package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

const (
	manyJobs   = 1_000_000
	publishers = 128
	asked      = 2000
	// What the chart gives each of them, and nine tenths of it for the garbage collector to keep below, as in a
	// container.
	aggregatorLimit = 1024 // MiB
	apiLimit        = 512
	sayWithin       = time.Minute
	startWithin     = 5 * time.Minute
	foldWithin      = 20 * time.Minute
	// jobsVariable is for who wants to see it work with fewer.
	jobsVariable = "TALLYMAN_BENCH_JOBS"
)

// ages is over how much time the jobs were submitted: all of them within the retention.
const ages = 20 * 24 * time.Hour

// million has a million jobs end in one aggregator, and be answered for by one api, each a process of its own with
// the memory that the chart gives it, and measures what they take and how they start and answer.
func million(ctx context.Context, t *figures.Table) error {
	h, err := newHeap(ctx)
	if err != nil {
		return err
	}
	defer h.end()
	if err := h.fill(ctx, t); err != nil {
		return err
	}
	if err := h.start(ctx, t); err != nil {
		return err
	}
	if err := h.answers(ctx, t); err != nil {
		return err
	}
	return h.disk(ctx, t)
}

// fill says the lives of a million jobs while the aggregator follows.
func (h *heap) fill(ctx context.Context, t *figures.Table) error {
	began := time.Now()
	start := began.Add(-ages)
	jobs := make(chan int)
	var all sync.WaitGroup
	errs := make(chan error, publishers)
	for range publishers {
		all.Go(func() {
			for n := range jobs {
				if err := h.live(ctx, n, start.Add(ages/time.Duration(h.jobs)*time.Duration(n))); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	var err error
	for n := 0; n < h.jobs && err == nil; n++ {
		select {
		case jobs <- n:
		case err = <-errs:
		}
	}
	close(jobs)
	all.Wait()
	if err != nil {
		return err
	}
	said := time.Since(began)
	if err := h.folded(ctx); err != nil {
		return err
	}
	t.Add("million: jobs said and committed, beside said", float64(h.jobs)/time.Since(began).Seconds(), "jobs/s", float64(h.jobs)/said.Seconds(), figures.None())
	if err := h.memory(t, nameNATS, h.children[0], figures.None(), "while they came"); err != nil {
		return err
	}
	return h.memory(t, "aggregator", h.aggregator, figures.AtMost(aggregatorLimit), "while they came")
}

// live says the life of one job: every tenth needs a second attempt, every hundredth fails for good.
func (h *heap) live(ctx context.Context, n int, at time.Time) error {
	id := contract.KeyID("bench", strconv.Itoa(n))
	begin := contract.At(at)
	say := func(kind contract.Kind, source contract.Source, attempt, ms int, change func(*contract.Event)) error {
		e := contract.Event{
			Kind: kind, Source: source, Time: contract.At(at.Add(time.Duration(ms) * time.Millisecond)), Queue: "default", Type: "probe",
			JobID: id, Run: 1, Attempt: attempt, SubmittedAt: begin,
		}
		if attempt > 0 {
			e.Unit, e.Pod = contract.KeyID("unit", strconv.Itoa(n)), contract.KeyID("pod", strconv.Itoa(4*n+attempt))
			e.Cluster, e.Namespace, e.Name, e.PodName = "bench", "tallyman", "default-"+id[:5], "default-"+id[:5]+"-abcde"
		}
		if change != nil {
			change(&e)
		}
		ctx, cancel := context.WithTimeout(ctx, sayWithin)
		defer cancel()
		_, err := h.stream.Publish(ctx, e)
		return err
	}
	task := contract.Task{
		JobID: id, Run: 1, Type: "probe", Queue: "default", Payload: []byte(`{"target":"127.0.0.1","duration":"10"}`),
		SubmittedAt: begin, Submitter: "bench", Source: contract.FromAPI,
	}
	body, err := task.Encode()
	if err != nil {
		return err
	}
	err = errors.Join(say(contract.Submitted, contract.SourceAPI, 0, 0, func(e *contract.Event) { e.Task = body }),
		say(contract.Queued, contract.SourceAPI, 0, 9, nil))
	attempts := 1
	if n%10 == 0 {
		attempts = 2
	}
	if n%100 == 0 {
		attempts = 3
	}
	ms := 2000 + rand.IntN(3000)
	for a := 1; a <= attempts && err == nil; a++ {
		err = errors.Join(say(contract.Claimed, contract.SourceProcessor, a, ms, nil), say(contract.Started, contract.SourceProcessor, a, ms+60, nil))
		ms += 1000 + rand.IntN(9000)
		switch {
		case a < attempts || n%100 == 0:
			err = errors.Join(err, say(contract.AttemptFailed, contract.SourceProcessor, a, ms, func(e *contract.Event) { e.Reason = contract.AppExit }))
		default:
			err = errors.Join(err, say(contract.Succeeded, contract.SourceProcessor, a, ms, func(e *contract.Event) { e.DurationMS = 1234 }))
		}
		ms += 10_000
	}
	if n%100 == 0 {
		err = errors.Join(err, say(contract.Failed, contract.SourceBridge, 0, ms, func(e *contract.Event) { e.Reason = contract.AppExit }))
	}
	return err
}

// folded waits until the bucket holds all that was said, balanced.
func (h *heap) folded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, foldWithin)
	defer cancel()
	jobs, err := h.stream.Bucket(ctx, contract.BucketJobs)
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var s contract.Stats
		e, err := jobs.Get(ctx, contract.KeyStats)
		if err == nil {
			err = json.Unmarshal(e.Value, &s)
		}
		if err == nil && s.Jobs.Succeeded+s.Jobs.Failed == h.jobs {
			if !s.Balanced {
				return fmt.Errorf("the ledger is not balanced: %+v", s.Balance)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not all are folded after %s: %+v: %w", foldWithin, s.Jobs, err)
		case <-tick.C:
		}
	}
}

// answers measures reading, one request after the other, in turns with a server that answers nothing.
func (h *heap) answers(ctx context.Context, t *figures.Table) error {
	empty := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer empty.Close()
	for _, q := range []struct {
		name string
		url  func() string
		bar  float64
	}{
		{"GET /jobs/stats", func() string { return "/jobs/stats" }, 5},
		{"GET /jobs, the first page", func() string { return "/jobs" }, 50},
		{"GET /jobs?state=failed", func() string { return "/jobs?state=failed" }, 50},
		{"GET /jobs/{id}, any", func() string { return "/jobs/" + contract.KeyID("bench", strconv.Itoa(rand.IntN(h.jobs))) }, 100},
	} {
		took, bare := make([]time.Duration, asked), make([]time.Duration, asked)
		for i := range took {
			var err error
			if took[i], err = h.ask(ctx, h.API+q.url()); err != nil {
				return err
			}
			if bare[i], err = h.ask(ctx, empty.URL); err != nil {
				return err
			}
		}
		t.Add("million: "+q.name+", p50, beside an empty answer", percentile(took, 50), "ms", percentile(bare, 50), figures.None())
		t.Add("million: "+q.name+", p99, beside an empty answer", percentile(took, 99), "ms", percentile(bare, 99), figures.AtMost(q.bar))
	}
	return h.memory(t, "api", h.api, figures.AtMost(apiLimit), "of a start and of being asked")
}

// start starts an api over all of them, and the aggregator again, each beside a bare reading of the same bucket.
func (h *heap) start(ctx context.Context, t *figures.Table) error {
	bare, err := h.readBucket(ctx)
	if err != nil {
		return err
	}
	took, err := h.startIndexed(ctx)
	if err != nil {
		return err
	}
	t.Add("million: api: start until jobs are listed", took.Seconds(), "s", bare.Seconds(), figures.AtMost(60))
	h.aggregator.end()
	if took, err = h.startAggregator(ctx); err != nil {
		return err
	}
	t.Add("million: aggregator: start until the ledger is followed", took.Seconds(), "s", bare.Seconds(), figures.AtMost(60))
	return h.memory(t, "aggregator", h.aggregator, figures.AtMost(aggregatorLimit), "of a start")
}

// readBucket is how long it takes to be given all that the bucket holds, by who does nothing with it.
func (h *heap) readBucket(ctx context.Context) (time.Duration, error) {
	bucket, err := h.stream.Bucket(ctx, contract.BucketJobs)
	if err != nil {
		return 0, err
	}
	began, errLoaded := time.Now(), errors.New("all is there")
	err = bucket.Watch(ctx, ">", func(stream.Entry) error { return nil }, func() error { return errLoaded })
	if !errors.Is(err, errLoaded) {
		return 0, err
	}
	return time.Since(began), nil
}

// disk adds what a job takes in the stores that these two keep, as the server counts and as the folder is.
func (h *heap) disk(ctx context.Context, t *figures.Table) error {
	documents := 0.0
	for _, size := range h.stream.Examine(ctx, stream.DefaultSettings()) {
		if size.Name == contract.BucketStream(contract.BucketJobs) {
			documents = float64(size.Bytes)
		}
		if size.Written == 0 || stores[size.Name] == "" {
			continue
		}
		held := 0.0
		err := filepath.Walk(h.dir, func(path string, info os.FileInfo, err error) error {
			if err == nil && !info.IsDir() && strings.Contains(path, "/streams/"+size.Name+"/") {
				held += float64(info.Size())
			}
			return nil // files come and go while they are looked at
		})
		if err != nil {
			return err
		}
		t.Add("million: "+stores[size.Name]+": on disk, for each job", held/float64(h.jobs), "B", float64(size.Bytes)/float64(h.jobs), figures.None())
		t.Add("million: "+stores[size.Name]+": written, for each job", float64(size.Written)/float64(h.jobs), "messages", float64(size.Messages)/float64(h.jobs), figures.None())
	}
	index := 0.0
	for _, name := range []string{"index.db", "index.db-wal"} {
		info, err := os.Stat(filepath.Join(h.dir, name))
		if err != nil {
			return err
		}
		index += float64(info.Size())
	}
	t.Add("million: the api's index on disk, for each job, beside the bucket", index/float64(h.jobs), "B", documents/float64(h.jobs), figures.None())
	return nil
}
