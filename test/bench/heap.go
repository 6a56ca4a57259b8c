package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

// heap is an api and an aggregator that can be started again, each with the memory that the chart gives it.
type heap struct {
	*alone
	jobs       int
	stream     *stream.Stream
	aggregator *child
	admin      string             // of the aggregator
	idle       map[string]float64 // MiB of each program before there was a job
}

func newHeap(ctx context.Context) (h *heap, err error) {
	h = &heap{jobs: manyJobs}
	if text := os.Getenv(jobsVariable); text != "" {
		if h.jobs, err = strconv.Atoi(text); err != nil || h.jobs < 100 {
			return nil, fmt.Errorf("%s: %q is no number of jobs, of at least 100", jobsVariable, text)
		}
	}
	if h.alone, err = newAlone(ctx); err != nil {
		return nil, err
	}
	if h.admin, err = freeAddr(); err == nil {
		h.stream, err = stream.Connect(ctx, stream.Options{URL: h.nats, Name: "bench"})
	}
	if err == nil {
		err = h.measureIdle(ctx)
	}
	if err != nil {
		h.end()
		return nil, err
	}
	return h, nil
}

func (h *heap) end() {
	for _, c := range []*child{h.api, h.aggregator} {
		if c != nil {
			c.end()
		}
	}
	if h.stream != nil {
		h.stream.Close()
	}
	h.alone.end()
}

// measureIdle starts each program where there is nothing yet. The aggregator stays.
func (h *heap) measureIdle(ctx context.Context) (err error) {
	if _, err := h.startAggregator(ctx); err != nil {
		return err
	}
	api, err := h.startAPI(ctx, limit(apiLimit))
	if err != nil {
		return err
	}
	defer api.end()
	if err := h.until(ctx, h.API+"/jobs?limit=1"); err != nil {
		return err
	}
	h.idle = make(map[string]float64)
	for name, c := range map[string]*child{nameNATS: h.children[0], "aggregator": h.aggregator, "api": api} {
		if h.idle[name], err = c.status("VmRSS:"); err != nil {
			return err
		}
	}
	return nil
}

// limit is nine tenths of the memory for the garbage collector to keep below, as in a container.
func limit(mib int) []string { return []string{"GOMEMLIMIT=" + strconv.Itoa(mib*9/10) + "MiB"} }

// startAggregator gives how long it took until the ledger was loaded and followed.
func (h *heap) startAggregator(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	if h.aggregator, err = h.program(ctx, "aggregator", limit(aggregatorLimit), "--admin", h.admin); err != nil {
		return 0, err
	}
	err = h.until(ctx, "http://"+h.admin+"/readyz")
	return time.Since(began), err
}

// startIndexed starts the api, and gives how long it took until jobs were listed.
func (h *heap) startIndexed(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	if h.api, err = h.startAPI(ctx, limit(apiLimit), "--index", filepath.Join(h.dir, "index.db")); err != nil {
		return 0, err
	}
	err = h.until(ctx, h.API+"/jobs?limit=1")
	return time.Since(began), err
}

// until asks until the answer is 200.
func (w *world) until(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := w.ask(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w", url, startWithin, err)
		case <-tick.C:
		}
	}
}

// ask gives how long a good answer took, read to its end.
func (w *world) ask(ctx context.Context, url string) (took time.Duration, err error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return time.Since(began), nil
}

// nameNATS is what the servers that are not ours are called.
const nameNATS = "NATS, with an SQS"

// memory adds the most that a process has had and what it has now, beside what it had with no job.
func (h *heap) memory(t *figures.Table, name string, c *child, bar figures.Bar, when string) error {
	peak, err := c.status("VmHWM:")
	if err != nil {
		return err
	}
	now, err := c.status("VmRSS:")
	if err != nil {
		return err
	}
	t.Add("million: "+name+": most memory "+when, peak, "MiB", h.idle[name], bar)
	t.Add("million: "+name+": memory after it", now, "MiB", h.idle[name], figures.None())
	return nil
}

// status reads a line of the process's status, in MiB.
func (c *child) status(field string) (mib float64, err error) {
	if mib = mibLine(c.cmd.Process.Pid, field); mib == 0 {
		return 0, fmt.Errorf("/proc/%d/status has no %s", c.cmd.Process.Pid, field)
	}
	return mib, nil
}
