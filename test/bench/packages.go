package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"tallyman/test/bench/figures"
)

// metrics are what one Go benchmark reported, by unit.
type metrics map[string]float64

// goBench runs one benchmark of a package once and reads its own metrics.
func goBench(ctx context.Context, pkg, name, benchtime string) (metrics, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+name+"$", "-benchtime", benchtime, "-timeout", "20m", "./"+pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w: %s", name, pkg, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if m := parse(line, name); m != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s of %s reported nothing: %s", name, pkg, out)
}

// parse reads "BenchmarkX-2  1  12 ns/op  3.4 events/s".
func parse(line, name string) metrics {
	f := strings.Fields(line)
	if len(f) < 2 || !strings.HasPrefix(f[0], name) {
		return nil
	}
	m := make(metrics)
	for i := 2; i+1 < len(f); i += 2 {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return nil
		}
		m[f[i+1]] = v
	}
	return m
}

// packages takes the figures that one package can give alone.
func packages(ctx context.Context, t *figures.Table) error {
	m, err := goBench(ctx, "aggregator", "BenchmarkCommitted", "3x")
	if err != nil {
		return err
	}
	t.Add("aggregator: committed, the median of 3", m["events/s"], "events/s", m["bare-events/s"], figures.AtLeast(60_000))
	t.Add("aggregator: committed, beside a bare ordered consume", m["events/s"], "events/s", m["bare-events/s"], figures.RatioAtLeast(0.1))
	if m, err = goBench(ctx, "aggregator", "BenchmarkRecovery", "5x"); err != nil {
		return err
	}
	t.Add("aggregator: 1M events replayed, the median of 5", m["replay-s"], "s", m["bare-s"], figures.AtMost(8))
	t.Add("aggregator: ledger of 1M events loaded, the median of 5", m["load-s"], "s", m["replay-s"], figures.AtMost(8))
	if m, err = goBench(ctx, "aggregator", "BenchmarkBytesPerJob", "1x"); err != nil {
		return err
	}
	t.Add("aggregator: packed memory of an ended job", m["packed-B/job"], "B", m["B/job"], figures.AtMost(200))
	t.Add("aggregator: memory of a job that waits", m["waiting-B/job"], "B", m["B/job"], figures.None())
	if m, err = goBench(ctx, "api", "BenchmarkStats", "20000x"); err != nil {
		return err
	}
	t.Add("api: GET /jobs/stats beside an empty handler, the median turn", m["ratio"]*m["empty/s"], "requests/s", m["empty/s"], figures.RatioAtLeast(0.8))
	return nil
}
