package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"tallyman/test/bench/figures"
)

// distance is how long SQS takes to answer beyond its own work, as it does across a network.
const distance = 5 * time.Millisecond

// farSQS is an SQS behind a network, and counts the calls that send.
type farSQS struct {
	*httptest.Server
	sends atomic.Int64
}

func newFarSQS(at string) (*farSQS, error) {
	target, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	far, proxy := &farSQS{}, httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = manyConnections()
	far.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.SendMessage") { // or SendMessageBatch
			far.sends.Add(1)
		}
		time.Sleep(distance)
		proxy.ServeHTTP(rw, r)
	}))
	return far, nil
}

// manyConnections stay open, one for each of those who post.
func manyConnections() *http.Transport { return &http.Transport{MaxIdleConnsPerHost: 2 * submitters} }

// posts measures concurrent POST /jobs of an api of its own process. The reference has a call to SQS for each job:
// the same api, as many at a time, but each posts to a queue of his own, and so shares a call with nobody.
func posts(ctx context.Context, t *figures.Table) error {
	w, err := newAlone(ctx)
	if err != nil {
		return err
	}
	defer func() { w.end() }()
	far, err := newFarSQS(w.servers.SQS)
	if err != nil {
		return err
	}
	defer far.Close()
	if err := w.ownQueues(ctx, far.URL); err != nil {
		return err
	}
	w.client.Transport = manyConnections()
	if err := w.start(ctx); err != nil {
		return err
	}
	if err := w.postOnce(ctx, []byte(`[{}]`)); err != nil {
		return err
	}
	one, err := w.pace(ctx, far, 1, oneAfterAnother, func(int) string { return "default" })
	if err != nil {
		return err
	}
	var alone, shared pace
	for _, warm := range []bool{true, false} { // connections are made first
		n := submits
		if warm {
			n = 2 * submitters
		}
		if alone, err = w.pace(ctx, far, submitters, n, ownQueue); err != nil {
			return err
		}
		if shared, err = w.pace(ctx, far, submitters, n, func(int) string { return "default" }); err != nil {
			return err
		}
	}
	t.Add("api: POST /jobs, 100 at a time: jobs in a call to SQS, beside a queue for each", shared.carried, "jobs/call", alone.carried, figures.RatioAtLeast(5))
	t.Add("api: POST /jobs, 100 at a time, beside a call to SQS for each", shared.rate, "jobs/s", alone.rate, figures.RatioAtLeast(2))
	t.Add("api: POST /jobs, 100 at a time, beside one at a time", shared.rate, "jobs/s", one.rate, figures.None())
	return nil
}

func ownQueue(worker int) string { return fmt.Sprintf("own-%d", worker) }

// ownQueues makes a queue for each who posts, and an SQS far away where all of them are.
func (w *alone) ownQueues(ctx context.Context, sqs string) error {
	config, err := os.ReadFile(w.config)
	if err != nil {
		return err
	}
	for i := range submitters {
		name := ownQueue(i)
		if err := w.makeQueue(ctx, name); err != nil {
			return err
		}
		at := w.servers.Queue[:strings.LastIndex(w.servers.Queue, "/")+1] + name
		config = fmt.Appendf(config, "- name: %s\n  url: %s\n  types: [{name: probe}]\n", name, at)
	}
	w.env[0] = "AWS_ENDPOINT_URL_SQS=" + sqs
	return os.WriteFile(w.config, config, 0o600)
}

// makeQueue asks SQS itself, which needs no signature here.
func (w *alone) makeQueue(ctx context.Context, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.servers.SQS, strings.NewReader(fmt.Sprintf(`{"QueueName":%q}`, name)))
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Target", "AmazonSQS.CreateQueue")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("make queue %s: %s %s: %w", name, resp.Status, b, err)
	}
	return nil
}

// pace is how fast jobs were posted, and how many of them went to SQS in a call.
type pace struct{ rate, carried float64 }

func (w *alone) pace(ctx context.Context, far *farSQS, workers, n int, queue func(worker int) string) (p pace, err error) {
	before := far.sends.Load()
	took, err := concurrently(workers, n, func(worker int) error {
		return w.post(ctx, "/jobs", fmt.Appendf(nil, `{"queue":%q,"type":"probe","payload":{"target":"127.0.0.1"}}`, queue(worker)))
	})
	if err != nil {
		return p, err
	}
	return pace{float64(n) / took.Seconds(), float64(n) / float64(far.sends.Load()-before)}, nil
}
