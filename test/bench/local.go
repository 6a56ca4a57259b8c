package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"tallyman/contract"
	"tallyman/internal/dev"
	"tallyman/test/bench/figures"
)

type options = dev.Options

// world is a pipeline of the benchmark's own.
type world struct {
	dev.Addresses
	client *http.Client
}

const processorPath = "bin/processor"

// startPipeline runs the whole pipeline in this process, on a folder that goes with it.
func startPipeline(ctx context.Context, change func(*options)) (*world, func(), error) {
	dir, err := os.MkdirTemp("", "tallyman-bench")
	if err != nil {
		return nil, nil, err
	}
	processor, err := filepath.Abs(processorPath)
	if err != nil {
		return nil, nil, err
	}
	o := options{
		Data: dir, Files: dir, Config: contract.DevConfig(), API: "127.0.0.1:0", SQS: "127.0.0.1:0", NATS: "127.0.0.1:0",
		Admin: "127.0.0.1:0", Processor: processor, BackoffScale: 0.01,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	change(&o)
	ctx, cancel := context.WithCancel(ctx)
	p, err := dev.New(ctx, o)
	if err != nil {
		cancel()
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop := func() {
		cancel()
		if err := errors.Join(<-done, os.RemoveAll(dir)); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	if err := p.WaitReady(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * submitters}}
	return &world{p.Addresses(), client}, stop, nil
}

const (
	emptyJob  = `{"type":"process-data","payload":{"records":1,"pauseMs":0,"failureRate":0}}`
	sequence  = 40
	burst     = 300
	atOnce    = 100
	endWithin = 10 * time.Minute
)

// local measures the pipeline as somebody feels it who runs it here.
func local(ctx context.Context, t *figures.Table) error {
	size, err := mibOf(processorPath)
	if err != nil {
		return err
	}
	other, err := mibOf(filepath.Join(filepath.Dir(processorPath), "aggregator"))
	if err != nil {
		return err
	}
	t.Add("processor: size of the image, beside the aggregator's", size, "MiB", other, figures.AtMost(20))
	if err := resident(ctx, t); err != nil {
		return err
	}
	single, err := oneByOne(ctx, t)
	if err != nil {
		return err
	}
	return allAtOnce(ctx, t, single)
}

// mibOf is the size of a program; its image holds hardly anything else.
func mibOf(path string) (float64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("%w: run `make build` first", err)
	}
	return float64(info.Size()) / (1 << 20), nil
}

// bareStarts is how long it takes to start the processor twice, as each unit does, for nothing: the median, in ms.
func bareStarts(ctx context.Context) (float64, error) {
	var took [sequence]time.Duration
	for i := range took {
		began := time.Now()
		for range 2 {
			if err := exec.CommandContext(ctx, processorPath, "--version").Run(); err != nil {
				return 0, fmt.Errorf("%s --version: %w", processorPath, err)
			}
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took[:])
	return float64(took[sequence/2]) / float64(time.Millisecond), nil
}

// oneByOne runs empty jobs, each when the one before has ended, and gives how long one takes.
func oneByOne(ctx context.Context, t *figures.Table) (single contract.Latency, err error) {
	w, stop, err := startPipeline(ctx, func(*options) {})
	if err != nil {
		return single, err
	}
	defer stop()
	for n := 1; n <= sequence; n++ {
		if err := w.post(ctx, "/jobs", []byte(emptyJob)); err != nil {
			return single, err
		}
		if err := w.rest(ctx, n); err != nil {
			return single, err
		}
	}
	s, err := w.stats(ctx)
	if err != nil {
		return single, err
	}
	bare, err := bareStarts(ctx)
	if err != nil {
		return single, err
	}
	t.Add("local: empty job, submit to succeeded, p50", 1000*s.Latency.Overall.P50, "ms", bare, figures.AtMost(300))
	t.Add("processor: claimed to started, p50", 1000*s.Latency.Start.P50, "ms", 1000*s.Latency.Overall.P50, figures.AtMost(100))
	return s.Latency.Overall, nil
}

// allAtOnce runs many jobs by many hands, [L8]; single is how long a job took where there was one at a time, and every
// stage is beside that.
func allAtOnce(ctx context.Context, t *figures.Table, single contract.Latency) error {
	w, stop, err := startPipeline(ctx, func(o *options) { o.Config.Queues[0].Max = atOnce })
	if err != nil {
		return err
	}
	defer stop()
	began := time.Now()
	if _, err := concurrently(atOnce, burst, func(int) error { return w.post(ctx, "/jobs", []byte(emptyJob)) }); err != nil {
		return err
	}
	if err := w.rest(ctx, burst); err != nil {
		return err
	}
	took := time.Since(began)
	s, err := w.stats(ctx)
	if err != nil {
		return err
	}
	t.Add("local: 300 jobs, 100 at a time, beside one", burst/took.Seconds(), "jobs/s", 1/single.P50, figures.None())
	t.Add("local: 300 jobs: succeeded, counted once", float64(s.SucceedJob), "jobs", burst, figures.Within(burst, 0))
	if err := cost(ctx, t, w.NATS, burst, float64(len(emptyJob))); err != nil {
		return err
	}
	for stage := range contract.Stages {
		l, name := s.Latency.Of(stage), "local: 300 jobs: "+stage.String()
		if l.Count == 0 {
			return fmt.Errorf("%s: nobody has timed it", name)
		}
		t.Add(name+" p50", 1000*l.P50, "ms", 1000*single.P50, figures.None())
		t.Add(name+" p95", 1000*l.P95, "ms", 1000*single.P95, figures.None())
		t.Add(name+" p99", 1000*l.P99, "ms", 1000*single.P99, figures.None())
	}
	return nil
}

func (w *world) stats(ctx context.Context) (*contract.Stats, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.API+"/jobs/stats", nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var s contract.Stats
	return &s, json.Unmarshal(b, &s)
}

// rest waits until n jobs have ended and the ledger balances.
func (w *world) rest(ctx context.Context, n int) error {
	deadline := time.After(endWithin)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := w.stats(ctx)
		if err != nil {
			return err
		}
		if s.Jobs.Succeeded+s.Jobs.Failed+s.Jobs.Cancelled == n {
			if !s.Balanced {
				return fmt.Errorf("the ledger is not balanced: %+v", s.Balance)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("after %s of %d jobs are still: %+v", endWithin, n, s.Jobs)
		case <-tick.C:
		}
	}
}
