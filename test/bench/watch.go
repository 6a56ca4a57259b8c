package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

const (
	watched    = 40 // changes of the stats that each client is to see
	watchEvery = 400 * time.Millisecond
)

// watch measures how long it takes from before an event is said until each of a thousand clients of the stream of
// GET /jobs/stats has stats that count it, beside one who watches the bucket itself; and what that costs the api, beside
// the reference of follow, for an event.
func watch(ctx context.Context, t *figures.Table) error {
	bare, err := followBare(ctx)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	w, err := startAlone(ctx)
	if err != nil {
		return err
	}
	defer w.end()
	s, err := stream.Connect(ctx, stream.Options{URL: w.nats, Name: "bench"})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := w.counted(ctx, s, watched); err != nil {
		return err
	}
	before, err := w.api.resident()
	if err != nil {
		return err
	}
	crowd := &watchers{said: make(map[uint64]time.Time)}
	if err := crowd.join(ctx, w); err != nil {
		return err
	}
	defer crowd.end()
	idle, err := w.api.cpu()
	if err != nil {
		return err
	}
	unwatch, err := crowd.watchBucket(ctx, s)
	if err != nil {
		return err
	}
	err = crowd.change(ctx, s)
	if err := errors.Join(err, unwatch()); err != nil {
		return err
	}
	spent, err := w.api.cpu()
	if err != nil {
		return err
	}
	after, err := w.api.resident()
	if err != nil {
		return err
	}
	t.Add("api: a change of the stats to 1000 SSE clients, p99, beside the bucket's", percentile(crowd.took, 99), "ms",
		percentile(crowd.bare, 99), figures.AtMost(1000))
	t.Add("api: processor time of a change for each SSE client", float64((spent-idle).Microseconds())/(followers*watched), "µs", bare.cpu, figures.None())
	t.Add("api: memory for each of 1000 SSE clients, with stats", (after-before)/followers/1024, "KiB", bare.busy, figures.AtMost(100))
	return nil
}

// watchers are a thousand clients that each see the stats as they change.
type watchers struct {
	mu   sync.Mutex
	said map[uint64]time.Time // when each event was about to be said
	last uint64               // of these
	took []time.Duration
	bare []time.Duration // of who watches the bucket

	left   chan error
	bodies []io.Closer
}

func (c *watchers) join(ctx context.Context, w *alone) error {
	c.left = make(chan error, followers)
	for range followers {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.API+"/jobs/stats", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "text/event-stream")
		resp, err := w.client.Do(req)
		if err != nil {
			return err
		}
		c.bodies = append(c.bodies, resp.Body)
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET /jobs/stats: %s", resp.Status)
		}
		first := make(chan struct{})
		go func() { c.left <- c.see(resp.Body, first) }()
		<-first
	}
	return nil
}

func (c *watchers) end() {
	for _, b := range c.bodies {
		_ = b.Close() // which ends its reader
	}
}

// see notes when stats come, until those of the last change have.
func (c *watchers) see(body io.Reader, first chan struct{}) error {
	lines, seen := bufio.NewReaderSize(body, 64<<10), sync.OnceFunc(func() { close(first) })
	defer seen()
	for seq := uint64(0); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("a client saw the stats only to %d: %w", seq, err)
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			if seq, err = strconv.ParseUint(strings.TrimSpace(id), 10, 64); err != nil {
				return err
			}
			continue
		}
		if !strings.HasPrefix(line, "data: ") {
			continue
		}
		now := time.Now()
		seen()
		c.mu.Lock()
		if said, ok := c.said[seq]; ok {
			c.took = append(c.took, now.Sub(said))
		}
		done := c.last > 0 && seq >= c.last
		c.mu.Unlock()
		if done {
			return nil
		}
	}
}

// watchBucket notes when the bucket itself has the stats, until it is told to end. What ended it before is told then.
func (c *watchers) watchBucket(ctx context.Context, s *stream.Stream) (end func() error, err error) {
	bucket, err := s.Bucket(ctx, contract.BucketJobs)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	loaded, ended := make(chan struct{}), make(chan error, 1)
	see := func(e stream.Entry) error {
		now := time.Now()
		var st contract.Stats
		if err := json.Unmarshal(e.Value, &st); err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if said, ok := c.said[st.AsOf.Seq]; ok {
			c.bare = append(c.bare, now.Sub(said))
		}
		return nil
	}
	go func() { ended <- bucket.Watch(ctx, contract.KeyStats, see, func() error { close(loaded); return nil }) }()
	select {
	case <-loaded:
	case err := <-ended:
		cancel()
		return nil, err
	}
	return func() error {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}, nil
}

// change says events, each a change of the stats, and waits until all clients have seen the last.
func (c *watchers) change(ctx context.Context, s *stream.Stream) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for n := range watched {
		<-tick.C
		// What came back cannot be asked for the number before it is said, so clients wait for it here.
		c.mu.Lock()
		began := time.Now()
		seq, err := s.Publish(ctx, eventOf(watched+1+n))
		c.said[seq] = began
		if n == watched-1 {
			c.last = seq
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	deadline := time.After(time.Minute)
	for range followers {
		select {
		case err := <-c.left:
			if err != nil {
				return err
			}
		case <-deadline:
			return fmt.Errorf("not all clients saw the last change within a minute")
		}
	}
	return nil
}

// percentile is in milliseconds.
func percentile(all []time.Duration, p float64) float64 { return 1000 * figures.Percentile(all, p) }
