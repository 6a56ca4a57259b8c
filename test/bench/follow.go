package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

const (
	followers   = 1000
	followed    = 300 // events that each of them is to see
	followEvery = 50 * time.Millisecond
	bareServer  = "serve-bare"
)

// follow measures how long an event takes from before it is said until each of a thousand clients of
// GET /jobs/events has it, and what the clients cost the api. The reference writes the same bytes to as many
// connections, one after the other, and does nothing else; it is said to through a pipe.
func follow(ctx context.Context, t *figures.Table) error {
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
	if err := w.postOnce(ctx, []byte(`[{}]`)); err != nil {
		return err
	}
	var before, after float64
	var idle time.Duration
	at, err := (&crowd{
		dial: func() (io.ReadCloser, error) { return w.follow(ctx) },
		joined: func() (err error) {
			after, err = w.api.resident()
			if err == nil {
				idle, err = w.api.cpu()
			}
			return err
		},
		say: func(n int) error { _, err := s.Publish(ctx, eventOf(n)); return err },
	}).measure(ctx, func() (err error) { before, err = w.api.resident(); return err })
	if err != nil {
		return err
	}
	busy, err := w.api.resident()
	if err != nil {
		return err
	}
	spent, err := w.api.cpu()
	if err != nil {
		return err
	}
	t.Add("api: an event to 1000 SSE clients, p50", at(0.5), "ms", bare(0.5), figures.RatioAtMost(6))
	t.Add("api: an event to 1000 SSE clients, p99", at(0.99), "ms", bare(0.99), figures.RatioAtMost(10))
	t.Add("api: processor time of an event for each SSE client", float64((spent-idle).Microseconds())/(followers*followed), "µs", 0, figures.AtMost(50))
	t.Add("api: memory for each of 1000 SSE clients, idle", (after-before)/followers/1024, "KiB", 0, figures.None())
	t.Add("api: memory for each of 1000 SSE clients, with events", (busy-before)/followers/1024, "KiB", 0, figures.AtMost(100))
	return nil
}

func eventOf(n int) contract.Event {
	now := contract.At(time.Now())
	return contract.Event{
		Kind: contract.Succeeded, Source: contract.SourceProcessor, Time: now, Queue: "default", Type: "probe",
		JobID: contract.KeyID("bench", strconv.Itoa(n)), Run: 1, Attempt: 1, SubmittedAt: now,
		Result: []byte(`{"records":5000,"failed":0}`), DurationMS: 1234,
	}
}

// follow opens one stream and reads its header.
func (w *world) follow(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.API+"/jobs/events?event=succeeded", nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("GET /jobs/events: %s", resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}

// crowd is a thousand clients, and who says what they see.
type crowd struct {
	dial   func() (io.ReadCloser, error)
	joined func() error
	say    func(n int) error
}

// measure gives the quantiles, in milliseconds, of the time from before an event was said until a client had it.
func (c *crowd) measure(ctx context.Context, began func() error) (at func(q float64) float64, err error) {
	if err := began(); err != nil {
		return nil, err
	}
	var said [followed]time.Time
	var mu sync.RWMutex
	took := make([][]time.Duration, followers)
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	left := make(chan error, followers)
	for i := range followers {
		body, err := c.dial()
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = body.Close() })
		all.Go(func() {
			defer stop()
			defer body.Close()
			left <- hear(body, func(n int) {
				now := time.Now()
				mu.RLock()
				took[i] = append(took[i], now.Sub(said[n]))
				mu.RUnlock()
			})
		})
	}
	if err := c.joined(); err != nil {
		return nil, err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for n := range followed {
		<-tick.C
		mu.Lock()
		said[n] = time.Now()
		mu.Unlock()
		if err := c.say(n); err != nil {
			return nil, err
		}
	}
	for range followers {
		if err := <-left; err != nil {
			return nil, err
		}
	}
	sorted := slices.Concat(took...)
	slices.Sort(sorted)
	return func(q float64) float64 {
		return float64(sorted[int(q*float64(len(sorted)-1))]) / float64(time.Millisecond)
	}, nil
}

// hear reads events until all have come, in their order.
func hear(body io.Reader, see func(n int)) error {
	n := 0
	for lines := bufio.NewScanner(body); lines.Scan(); {
		if !bytes.HasPrefix(lines.Bytes(), []byte("data: ")) {
			continue
		}
		see(n)
		if n++; n == followed {
			return nil
		}
	}
	return fmt.Errorf("a client saw only %d of %d events", n, followed)
}

// followBare is the reference.
func followBare(ctx context.Context) (at func(q float64) float64, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, bareServer)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	server := &child{cmd, in}
	defer server.end()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, err
	}
	addr = addr[:len(addr)-1]
	return (&crowd{
		dial:   func() (io.ReadCloser, error) { return dialBare(ctx, addr) },
		joined: func() error { return nil },
		say: func(n int) error {
			e := eventOf(n)
			b, err := e.Encode()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(in, "%s\n", b)
			return err
		},
	}).measure(ctx, func() error { return nil })
}

// dialBare connects and waits until it is counted in.
func dialBare(ctx context.Context, addr string) (io.ReadCloser, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// serveBare writes each line that it reads to every connection, as an event, and nothing else.
func serveBare(in io.Reader, out io.Writer) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	var all []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
			_, _ = c.Write([]byte("\n")) // counted in
		}
	}()
	fmt.Fprintln(out, l.Addr())
	for n, lines := 1, bufio.NewScanner(in); lines.Scan(); n++ {
		event := fmt.Appendf(nil, "id: %d\nevent: succeeded\ndata: %s\n\n", n, lines.Bytes())
		mu.Lock()
		for _, c := range all {
			_, _ = c.Write(event) // who is gone has seen all that it wanted
		}
		mu.Unlock()
	}
	return 0
}
