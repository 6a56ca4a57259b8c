package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"

	"tallyman/contract"
	"tallyman/test/bench/figures"
)

const (
	originalRuns = 2000
	originalJobs = 1000
	percent      = 100
)

// original measures the shares of the original function that end well: of single runs (4999/5000)^5000,
// and with its two retries one less the cube of the rest.
func original(ctx context.Context, t *figures.Table) error {
	if err := singleRuns(ctx, t); err != nil {
		return err
	}
	return throughThePipeline(ctx, t)
}

// singleRuns is [E2], with no sleep and a chance of its own for each run.
func singleRuns(ctx context.Context, t *figures.Table) error {
	var good atomic.Int64
	_, err := concurrently(runtime.NumCPU(), originalRuns, func(int) error {
		cmd := exec.CommandContext(ctx, processorPath, "work", "process-data")
		cmd.Stdin = strings.NewReader(`{"pauseMs":0}`)
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			good.Add(1)
			return nil
		case errors.As(err, &exit) && exit.ExitCode() == 101:
			return nil
		}
		return fmt.Errorf("a run ended with neither 0 nor 101: %w", err)
	})
	if err != nil {
		return err
	}
	t.Add("original: 2000 runs that end well", percent*float64(good.Load())/originalRuns, "%", 36.8, figures.Within(36.8, 3.3))
	return nil
}

// throughThePipeline is [E3]: 1000 jobs with two retries each.
func throughThePipeline(ctx context.Context, t *figures.Table) error {
	w, stop, err := startPipeline(ctx, func(o *options) {
		o.BackoffScale = 0.001
		o.Config.Queues[0].Max = 2 * contract.DefaultMax
	})
	if err != nil {
		return err
	}
	defer stop()
	posts := strings.TrimSuffix(strings.Repeat(`{"payload":{"pauseMs":0}},`, originalJobs), ",")
	if err := w.post(ctx, "/jobs/batch", []byte("["+posts+"]")); err != nil {
		return err
	}
	if err := w.rest(ctx, originalJobs); err != nil {
		return err
	}
	s, err := w.stats(ctx)
	if err != nil {
		return err
	}
	t.Add("original: 1000 jobs that end well", percent*float64(s.Jobs.Succeeded)/originalJobs, "%", 74.7, figures.Within(74.7, 4.1))
	t.Add("original: retries of a job", float64(s.Attempts.Second)/originalJobs, "retries", 1.03, figures.Within(1.03, 0.09))
	return nil
}
