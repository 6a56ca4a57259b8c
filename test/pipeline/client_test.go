package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"tallyman/contract"
)

// client makes the load, and writes down what it is told. It insists: what was not answered is asked again,
// as the same thing, from whichever life of the program answers.
type client struct {
	p *program
	m *model
}

// wish is one thing that the client wants.
type wish struct {
	number int
	r      *rand.Rand
}

var errOdd = errors.New("not an answer that a client may get")

// fulfil does one thing of the mixture.
func (c *client) fulfil(ctx context.Context, w wish) error {
	switch n := w.r.IntN(100); {
	case n < 10:
		return c.sendForeign(ctx, w)
	case n < 20:
		return c.cancel(ctx, c.m.pick(w.r, 5)) // they may still be under way
	case n < 30:
		return c.requeue(ctx, c.m.pick(w.r, 100))
	}
	return c.post(ctx, w)
}

// insist asks until there is an answer that is not the server's own trouble.
func (c *client) insist(ctx context.Context, method, path, body string, header http.Header) (int, []byte, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, 10*time.Second)
		status, b, err := ask(asking, method, c.p.addresses().API+path, body, header)
		cancel()
		switch {
		case err == nil && (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests):
		case err == nil && status >= http.StatusInternalServerError:
			return 0, nil, fmt.Errorf("%s %s: %d %s: %w", method, path, status, b, errOdd)
		case err == nil:
			return status, b, nil
		}
		select {
		case <-ctx.Done():
			return 0, nil, fmt.Errorf("%s %s: no answer: %w", method, path, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func (c *client) post(ctx context.Context, w wish) error {
	names := []string{"steady", "steady", "slow", "second", "panics", "chance", "chance", "event", "bad", "marker", "marker"}
	p := &promise{labour: names[w.r.IntN(len(names))], runs: 1, barred: make(map[int]bool)}
	l := labours()[p.labour]
	p.payload = l.payload(w.r)
	body := fmt.Sprintf(`{"type":%q,"payload":%s}`, l.jobType, p.payload)
	status, b, err := c.insist(ctx, http.MethodPost, "/jobs", body, http.Header{"Idempotency-Key": {fmt.Sprint("wish-", w.number)}})
	if err != nil {
		return err
	}
	var r struct{ JobID string }
	if err := json.Unmarshal(b, &r); err != nil || status != http.StatusAccepted {
		return fmt.Errorf("POST /jobs: %d %s: %w", status, b, errOdd)
	}
	p.id = r.JobID
	c.m.add(p)
	return nil
}

// sendForeign sends a message past the api. It cannot be sent again as the same, so one without an answer
// may or may not be a job.
func (c *client) sendForeign(ctx context.Context, w wish) error {
	p := &promise{labour: "steady", runs: 1, barred: make(map[int]bool)}
	p.payload = labours()[p.labour].payload(w.r)
	a := c.p.addresses()
	out, err := askSQS(ctx, a.SQS, "SendMessage", map[string]any{"QueueUrl": a.Queues[contract.DefaultQueue], "MessageBody": p.payload})
	if err != nil {
		c.m.lose()
		return nil
	}
	p.id = contract.ForeignID(contract.DefaultQueue, out["MessageId"].(string))
	c.m.add(p)
	return nil
}

func (c *client) cancel(ctx context.Context, p *promise) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
	status, b, err := c.insist(ctx, http.MethodDelete, "/jobs/"+p.id, "", nil)
	switch {
	case err != nil:
		return err
	case status == http.StatusConflict, status == http.StatusNotFound: // it has ended, or (foreign) nobody took it yet
		return nil
	case status != http.StatusAccepted:
		return fmt.Errorf("DELETE /jobs/%s: %d %s: %w", p.id, status, b, errOdd)
	}
	var r struct {
		Run             int
		CancelRequested bool
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	if !r.CancelRequested {
		p.barred[r.Run] = true
	}
	return nil
}

func (c *client) requeue(ctx context.Context, p *promise) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	status, b, err := c.insist(ctx, http.MethodGet, "/jobs/"+p.id, "", nil)
	if err != nil || status == http.StatusNotFound {
		return err
	}
	var j job
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if !j.State.Ended() || j.Run != p.runs {
		return nil
	}
	status, b, err = c.insist(ctx, http.MethodPost, "/jobs/"+p.id+"/requeue", fmt.Sprintf(`{"run":%d}`, j.Run), nil)
	if err != nil {
		return err
	}
	if status != http.StatusAccepted {
		return fmt.Errorf("requeue of run %d of %s: %d %s: %w", j.Run, p.id, status, b, errOdd)
	}
	p.runs = j.Run + 1
	return nil
}
