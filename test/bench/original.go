package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"

	"tallyman/contract"
	"tallyman/test/bench/figures"
)

const (
	originalRuns    = 2000
	originalJobs    = 1000
	originalRecords = 5000 // of a run, each of which fails once in as many
	percent         = 100
)

// original measures the shares of the original function that end well: of single runs (4999/5000)^5000,
// and with its two retries one less the cube of the rest. The bars are around these; beside each figure are as many runs
// of the function's own dice.
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
	simulated := 0
	for range originalRuns {
		if simulatedRun() {
			simulated++
		}
	}
	t.Add("original: 2000 runs that end well, beside as many simulated", percent*float64(good.Load())/originalRuns, "%",
		percent*float64(simulated)/originalRuns, figures.Within(36.8, 3.3))
	return nil
}

// simulatedRun throws the original's dice: a chance of one in 5000 for each record that the run fails.
func simulatedRun() (good bool) {
	for range originalRecords {
		if rand.IntN(originalRecords) == 0 {
			return false
		}
	}
	return true
}

// simulatedJob is a run and, where it fails, two more.
func simulatedJob() (good bool, retries int) {
	for good = simulatedRun(); !good && retries < 2; retries++ {
		good = simulatedRun()
	}
	return good, retries
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
	simulated, retries := 0, 0
	for range originalJobs {
		good, more := simulatedJob()
		if good {
			simulated++
		}
		retries += more
	}
	t.Add("original: 1000 jobs that end well, beside as many simulated", percent*float64(s.Jobs.Succeeded)/originalJobs, "%",
		percent*float64(simulated)/originalJobs, figures.Within(74.7, 4.1))
	t.Add("original: retries of a job, beside as many simulated", float64(s.Attempts.Second)/originalJobs, "retries",
		float64(retries)/originalJobs, figures.Within(1.03, 0.09))
	return nil
}
