package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"tallyman/contract"
)

// promise is what clients were told of one job.
type promise struct {
	mu     sync.Mutex // held while somebody asks for something that changes it
	id     string
	words  string       // what its attempts do
	runs   int          // the first, and each requeue that was granted
	barred map[int]bool // runs of which it was told that they were cancelled before anybody had them
	again  bool         // it is of the type that is run again by itself
	tried  bool         // somebody asked to cancel it, whatever the answer
}

// load is the clients of a world and what they know.
type load struct {
	w *world

	mu       sync.Mutex
	promises []*promise
	unsure   []string // what the messages say that were sent past the api and may have arrived or not
	last     uint64
	readings int
	off      bool // one of them did not balance
}

const (
	clients = 3
	wishes  = 30
	rates   = raging / wishes // between two wishes
)

// jobs is what a job's attempts may do, in the order of attempts; the last word stands for all that follow.
var jobs = []string{
	"ok", "ok", "ok", "slow", "slow", "fail ok", "fail fail slow", "fail", "permanent", "fail permanent", "hang", "hang ok",
}

// run makes the load that follows from a seed, and returns when every wish has had its answer.
func (l *load) run(ctx context.Context, seed uint64) {
	asks := make(chan int)
	var work sync.WaitGroup
	for range clients {
		work.Go(func() {
			for n := range asks {
				if err := l.fulfil(ctx, n, rand.New(rand.NewPCG(seed, 100+uint64(n)))); err != nil {
					l.w.t.Errorf("wish %d: %v", n, err)
				}
			}
		})
	}
	for n := range wishes {
		asks <- n
		pause(ctx, rates)
	}
	close(asks)
	work.Wait()
}

// before makes jobs that have ended when everything begins.
func (l *load) before(ctx context.Context, n int) {
	for i := range n {
		status, b, err := l.insist(ctx, http.MethodPost, "/jobs", `{"type":"work","payload":"ok"}`, nil)
		var got struct{ JobID string }
		if err != nil || status != http.StatusAccepted || json.Unmarshal(b, &got) != nil {
			l.w.t.Errorf("job %d before the load: %d %s: %v", i, status, b, err)
			return
		}
		l.add(got.JobID, "ok", false)
	}
	l.rest()
}

func (l *load) fulfil(ctx context.Context, n int, r *rand.Rand) error {
	switch what := r.IntN(100); {
	case what < 12:
		return l.mail(ctx, r)
	case what < 24:
		return l.cancel(ctx, l.pick(r, 4)) // they may be under way
	case what < 36:
		return l.requeue(ctx, l.pick(r, 30))
	}
	return l.post(ctx, n, r)
}

func (l *load) pick(r *rand.Rand, newest int) *promise {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.promises[max(0, len(l.promises)-newest):]
	if len(all) == 0 {
		return nil
	}
	return all[r.IntN(len(all))]
}

func (l *load) add(id, words string, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promises = append(l.promises, &promise{id: id, words: words, runs: 1, again: again, barred: make(map[int]bool)})
}

var errOdd = errors.New("not an answer that a client may get")

// ask sends one request and gives status and body.
func (l *load) ask(ctx context.Context, method, url, body string, header http.Header) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	resp, err := l.w.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// insist asks again, as the same thing, until there is an answer that is not the server's own trouble. The
// program that has no other way to be found is behind a wire that loses answers, so some things are asked twice.
func (l *load) insist(ctx context.Context, method, path, body string, header http.Header) (int, []byte, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	if header == nil {
		header = make(http.Header)
	}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	for {
		status, b, err := l.ask(ctx, method, "http://"+l.w.over("client>api")+path, body, header)
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

func (l *load) post(ctx context.Context, n int, r *rand.Rand) error {
	words, again := jobs[r.IntN(len(jobs))], r.IntN(4) == 0
	jobType := map[bool]string{false: "work", true: "again"}[again]
	body := fmt.Sprintf(`{"type":%q,"timeoutSeconds":2,"payload":%q}`, jobType, words)
	header := http.Header{"Idempotency-Key": {fmt.Sprint("wish-", n)}}
	if r.IntN(5) == 0 { // twice at once
		twin := header.Clone()
		go func() { _, _, _ = l.insist(ctx, http.MethodPost, "/jobs", body, twin) }()
	}
	status, b, err := l.insist(ctx, http.MethodPost, "/jobs", body, header)
	if err != nil {
		return err
	}
	var got struct{ JobID string }
	if err := json.Unmarshal(b, &got); err != nil || status != http.StatusAccepted {
		return fmt.Errorf("POST /jobs: %d %s: %w", status, b, errOdd)
	}
	l.add(got.JobID, words, again)
	return nil
}

// mail sends a message past the api. It cannot be sent again as the same one.
func (l *load) mail(ctx context.Context, r *rand.Rand) error {
	words := jobs[r.IntN(9)] // none that hangs: it would hang for a minute
	body, err := json.Marshal(map[string]string{"QueueUrl": l.w.queueURL, "MessageBody": fmt.Sprintf("%q", words)})
	if err != nil {
		return err
	}
	status, b, err := l.ask(ctx, http.MethodPost, "http://"+l.w.at("sqs"), string(body), http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS.SendMessage"},
	})
	var got struct{ MessageID string }
	if err != nil || status != http.StatusOK || json.Unmarshal(b, &got) != nil {
		l.mu.Lock()
		l.unsure = append(l.unsure, words)
		l.mu.Unlock()
		return nil
	}
	l.add(contract.ForeignID(contract.DefaultQueue, got.MessageID), words, false)
	return nil
}

func (l *load) cancel(ctx context.Context, p *promise) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried = true
	status, b, err := l.insist(ctx, http.MethodDelete, "/jobs/"+p.id, "", nil)
	switch {
	case err != nil:
		return err
	case status == http.StatusConflict, status == http.StatusNotFound: // it has ended, or (foreign) nobody took it yet
		return nil
	case status != http.StatusAccepted:
		return fmt.Errorf("DELETE /jobs/%s: %d %s: %w", p.id, status, b, errOdd)
	}
	var got struct {
		Run             int
		State           contract.State
		CancelRequested bool
	}
	if err := json.Unmarshal(b, &got); err != nil {
		return err
	}
	if !got.CancelRequested && got.State == contract.StateCancelled { // what has failed gets no further run, and stays it
		p.barred[got.Run] = true
	}
	return nil
}

func (l *load) requeue(ctx context.Context, p *promise) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	status, b, err := l.insist(ctx, http.MethodGet, "/jobs/"+p.id, "", nil)
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
	status, b, err = l.insist(ctx, http.MethodPost, "/jobs/"+p.id+"/requeue", fmt.Sprintf(`{"run":%d}`, j.Run), nil)
	switch {
	case err != nil:
		return err
	case status == http.StatusConflict && l.w.mayHaveTrimmed(): // its task is no longer kept
		return nil
	case status != http.StatusAccepted:
		return fmt.Errorf("requeue of run %d of %s: %d %s: %w", j.Run, p.id, status, b, errOdd)
	}
	var got struct{ Run int }
	if err := json.Unmarshal(b, &got); err != nil || got.Run != j.Run+1 {
		return fmt.Errorf("requeue of run %d of %s: run %d: %w", j.Run, p.id, got.Run, errOdd)
	}
	p.runs = got.Run
	return nil
}
