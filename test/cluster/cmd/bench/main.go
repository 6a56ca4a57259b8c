// Command bench measures, inside a real Kubernetes, what a job waits for: how long from a post until its container runs,
// beside a bare Kubernetes Job of the same minutes, and how long until what happens to a pod is told. `make bench-cluster`
// runs it. It prints a table and writes bench-cluster.json, in the shape of bench.json; a figure below its bar is marked,
// and the exit code is 1.
//
//	install.go  an install to measure, and asking its API
//	running.go  from a post to a container that runs
//	lag.go      from a fact in Kubernetes to the stream and to the stats
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"tallyman/test/bench/figures"
)

// limit is for all of it: what takes longer hangs.
const limit = 30 * time.Minute

const output = "bench-cluster.json"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	os.Exit(run(ctx))
}

func run(ctx context.Context) int {
	t := &figures.Table{}
	err := measure(ctx, t)
	t.Print(os.Stdout) // what was measured before a failure, too
	if err := errors.Join(err, t.Write(output)); err != nil {
		fmt.Fprintln(os.Stderr, "bench-cluster:", err)
		return 1
	}
	if !t.Good() {
		return 1
	}
	return 0
}

func measure(ctx context.Context, t *figures.Table) error {
	w, err := install(ctx)
	if err != nil {
		return err
	}
	if err := running(ctx, w, t); err != nil {
		return err
	}
	return lag(ctx, w, t)
}
