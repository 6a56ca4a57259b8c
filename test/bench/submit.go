package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/test/bench/figures"
)

const (
	submitters = 100
	submits    = 3000
	// oneAfterAnother is how many are posted so, for comparison.
	oneAfterAnother = 200
	batchSize       = 1000
	batches         = 50
)

// submit measures how jobs are taken in, with nobody at work.
func submit(ctx context.Context, t *figures.Table) error {
	w, stop, err := startPipeline(ctx, func(o *options) { o.Paused = true })
	if err != nil {
		return err
	}
	stop = sync.OnceFunc(stop)
	defer stop()
	if err := sharing(ctx, t, w); err != nil {
		return err
	}
	took, err := concurrently(submitters, submits, func(int) error { return w.post(ctx, "/jobs", nil) })
	if err != nil {
		return err
	}
	each := submits / took.Seconds()
	body := []byte("[" + strings.Repeat(`{"type":"probe","payload":{"target":"127.0.0.1","duration":"1"}},`, batchSize-1) +
		`{"type":"probe","payload":{}}]`)
	took, err = concurrently(2, batches, func(int) error { return w.post(ctx, "/jobs/batch", body) })
	if err != nil {
		return err
	}
	t.Add("api: POST /jobs/batch, rate seen with the whole pipeline on the same cores, beside single posts", batches*batchSize/took.Seconds(),
		"jobs/s", each, figures.None())
	stop()
	return endpoint(ctx, t, body)
}

// sharing compares senders that share SendMessageBatch with as many that each send alone. SQS answers
// after a while, as it does across a network.
func sharing(ctx context.Context, t *figures.Table, w *world) error {
	far, err := newFarSQS(w.SQS)
	if err != nil {
		return err
	}
	defer far.Close()
	open := func() (*queue.Client, error) {
		return queue.Open(ctx, queue.Options{Endpoint: far.URL, Region: "us-east-1", AccessKey: "local", SecretKey: "local"})
	}
	one, err := open()
	if err != nil {
		return err
	}
	alone := make([]*queue.Client, submitters) // who has a client of his own shares with nobody
	for i := range alone {
		if alone[i], err = open(); err != nil {
			return err
		}
	}
	to, m := w.Queues[contract.DefaultQueue], queue.Message{Body: []byte(strings.Repeat("x", 512))}
	send := func(client func(worker int) *queue.Client) (took time.Duration, n int64, err error) {
		before := far.sends.Load()
		took, err = concurrently(submitters, submits, func(worker int) error { return client(worker).Send(ctx, to, m) })
		return took, far.sends.Load() - before, err
	}
	if _, _, err := send(func(i int) *queue.Client { return alone[i] }); err != nil { // connections are made first
		return err
	}
	aloneTook, aloneCalls, err := send(func(i int) *queue.Client { return alone[i] })
	if err != nil {
		return err
	}
	sharedTook, sharedCalls, err := send(func(int) *queue.Client { return one })
	if err != nil {
		return err
	}
	t.Add("queue: sends a call to SQS carries", submits/float64(sharedCalls), "sends/call", submits/float64(aloneCalls), figures.RatioAtLeast(5))
	t.Add("queue: sends that share, beside one call each", submits/sharedTook.Seconds(), "sends/s", submits/aloneTook.Seconds(), figures.RatioAtLeast(2))
	return nil
}

// concurrently does n things by so many workers, and gives how long all of them took.
func concurrently(workers, n int, do func(worker int) error) (time.Duration, error) {
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	began := time.Now()
	errs := make(chan error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range work {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	select {
	case err := <-errs:
		return 0, err
	default:
		return took, nil
	}
}

// post sends one request and reads its answer, which must be a good one.
func (w *world) post(ctx context.Context, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.API+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body, req.ContentLength = nil, 0
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("POST %s: %s", path, resp.Status)
	}
	return nil
}
