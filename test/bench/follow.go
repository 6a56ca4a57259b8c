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
	api, err := (&crowd{
		server: w.api,
		dial:   func() (io.ReadCloser, error) { return w.follow(ctx) },
		say:    func(n int) error { _, err := s.Publish(ctx, eventOf(n)); return err },
	}).measure(ctx)
	if err != nil {
		return err
	}
	t.Add("api: an event to 1000 SSE clients, p50", api.at(0.5), "ms", bare.at(0.5), figures.RatioAtMost(6))
	t.Add("api: an event to 1000 SSE clients, p99", api.at(0.99), "ms", bare.at(0.99), figures.RatioAtMost(10))
	t.Add("api: processor time of an event for each SSE client", api.cpu, "µs", bare.cpu, figures.AtMost(50))
	t.Add("api: memory for each of 1000 SSE clients, idle", api.idle, "KiB", bare.idle, figures.None())
	t.Add("api: memory for each of 1000 SSE clients, with events", api.busy, "KiB", bare.busy, figures.AtMost(100))
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

// crowd is a thousand clients of a server, and who says what they see.
type crowd struct {
	server *child
	dial   func() (io.ReadCloser, error)
	say    func(n int) error
}

// heard is how long an event took from before it was said until a client had it, and what that cost the server.
type heard struct {
	at   func(q float64) float64 // quantile, in ms
	cpu  float64                 // processor time of an event for each client, in µs
	idle float64                 // memory for each client once all were there, in KiB
	busy float64                 // and once all had seen everything
}

func (c *crowd) measure(ctx context.Context) (h heard, err error) {
	before, err := c.server.usage()
	if err != nil {
		return h, err
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
			return h, err
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
	idle, err := c.server.usage()
	if err != nil {
		return h, err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for n := range followed {
		<-tick.C
		mu.Lock()
		said[n] = time.Now()
		mu.Unlock()
		if err := c.say(n); err != nil {
			return h, err
		}
	}
	for range followers {
		if err := <-left; err != nil {
			return h, err
		}
	}
	busy, err := c.server.usage()
	if err != nil {
		return h, err
	}
	sorted := slices.Concat(took...)
	slices.Sort(sorted)
	return heard{
		at: func(q float64) float64 {
			return float64(sorted[int(q*float64(len(sorted)-1))]) / float64(time.Millisecond)
		},
		cpu:  float64((busy.cpu - idle.cpu).Microseconds()) / (followers * followed),
		idle: (idle.resident - before.resident) / followers / 1024,
		busy: (busy.resident - before.resident) / followers / 1024,
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
func followBare(ctx context.Context) (h heard, err error) {
	program, err := os.Executable()
	if err != nil {
		return h, err
	}
	cmd := exec.CommandContext(ctx, program, bareServer)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return h, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return h, err
	}
	if err := cmd.Start(); err != nil {
		return h, err
	}
	server := &child{cmd, in}
	defer server.end()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return h, err
	}
	addr = addr[:len(addr)-1]
	return (&crowd{
		server: server,
		dial:   func() (io.ReadCloser, error) { return dialBare(ctx, addr) },
		say: func(n int) error {
			e := eventOf(n)
			b, err := e.Encode()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(in, "%s\n", b)
			return err
		},
	}).measure(ctx)
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
