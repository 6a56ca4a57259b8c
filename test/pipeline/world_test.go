package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/dev"
	"tallyman/internal/testenv"
)

type optionsOfDev = dev.Options

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// world is a pipeline of the test's own, spoken to as users speak to it.
type world struct {
	dev.Addresses
	t *testing.T
}

// start runs a pipeline in this process until the test ends. change may alter its options.
func start(t *testing.T, change func(*dev.Options)) *world {
	t.Helper()
	o := dev.Options{
		Data: t.TempDir(), Files: t.TempDir(), Config: contract.DevConfig(), API: "127.0.0.1:0", SQS: "127.0.0.1:0",
		NATS: "127.0.0.1:0", Admin: "127.0.0.1:0", Processor: testenv.Binary(t, "processor"), BackoffScale: 0.01,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, err := dev.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := p.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return &world{p.Addresses(), t}
}

// do sends a request and gives status and body.
func (w *world) do(method, path, body string) (int, []byte) {
	w.t.Helper()
	status, b, err := ask(w.t.Context(), method, w.API+path, body, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return status, b
}

// ask sends a request with a JSON body, if any.
func ask(ctx context.Context, method, url, body string, header http.Header) (int, []byte, error) {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// post submits a job and gives its id.
func (w *world) post(jobType, payload string) string {
	w.t.Helper()
	status, b := w.do(http.MethodPost, "/jobs", fmt.Sprintf(`{"type":%q,"payload":%s}`, jobType, payload))
	if status != http.StatusAccepted {
		w.t.Fatalf("POST /jobs: %d %s", status, b)
	}
	var r struct{ JobID string }
	w.read(b, &r)
	return r.JobID
}

func (w *world) read(b []byte, into any) {
	w.t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		w.t.Fatalf("%v in %s", err, b)
	}
}

// job is what GET /jobs/{id} answers, as far as tests look at it.
type job struct {
	JobID    string
	Queue    string
	Type     string
	State    contract.State
	Reason   contract.Reason
	Message  string
	Run      int
	Attempt  int
	Result   json.RawMessage
	Attempts []struct {
		Run, Attempt int
		Ending       contract.Ending
		Reason       contract.Reason
		ExitCode     *int
		Message      string
		Tail         string
		Unit         string
		StartedAt    contract.Time
		EndedAt      contract.Time
	}
}

// get asks again while the books have not come to the job yet, as the answer says to.
func (w *world) get(id string) job {
	w.t.Helper()
	status, b := w.do(http.MethodGet, "/jobs/"+id, "")
	for deadline := time.Now().Add(patience); status == http.StatusServiceUnavailable && time.Now().Before(deadline); {
		status, b = w.do(http.MethodGet, "/jobs/"+id, "")
	}
	if status != http.StatusOK {
		w.t.Fatalf("GET /jobs/%s: %d %s", id, status, b)
	}
	var j job
	w.read(b, &j)
	return j
}

func (w *world) stats() contract.Stats {
	w.t.Helper()
	_, b := w.do(http.MethodGet, "/jobs/stats", "")
	var s contract.Stats
	w.read(b, &s)
	return s
}

const patience = 2 * time.Minute

// until asks again and again, and fails the test with what was seen last when it takes too long.
func until[T any](w *world, what string, ask func() T, ok func(T) bool) T {
	w.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		v := ask()
		if ok(v) {
			return v
		}
		select {
		case <-deadline:
			w.t.Fatalf("%s did not come true within %s; last seen: %+v", what, patience, v)
		case <-w.t.Context().Done():
			w.t.Fatal(w.t.Context().Err())
		case <-tick.C:
		}
	}
}

// ended waits for the end of a job.
func (w *world) ended(id string) job {
	w.t.Helper()
	return until(w, "the end of job "+id, func() job { return w.get(id) }, func(j job) bool { return j.State.Ended() })
}

// atRest waits until n jobs are known and all of them have ended, and checks that the ledger balances.
func (w *world) atRest(n int) contract.Stats {
	w.t.Helper()
	s := until(w, fmt.Sprintf("%d jobs at rest", n), w.stats, func(s contract.Stats) bool {
		return s.Jobs.Submitted == n && s.Jobs.Succeeded+s.Jobs.Failed+s.Jobs.Cancelled == n
	})
	w.balanced(s)
	return s
}

func (w *world) balanced(s contract.Stats) {
	w.t.Helper()
	if fault := imbalance(&s); fault != "" {
		w.t.Error(fault)
	}
}

// imbalance says what is wrong with the books in themselves, "" where nothing is.
func imbalance(s *contract.Stats) string {
	j := s.Jobs
	if sum := j.Accepted + j.Queued + j.Running + j.Retrying + j.Succeeded + j.Failed + j.Cancelled; j.Submitted != sum || !s.Balanced {
		return fmt.Sprintf("not balanced at %+v: %+v, the states of %+v add up to %d", s.AsOf, s.Balance, j, sum)
	}
	return ""
}

// askSQS speaks the protocol of SQS by hand, as a stranger would. The error of one that was refused is
// an *sqsRefusal.
func askSQS(ctx context.Context, endpoint, op string, in map[string]any) (map[string]any, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	status, b, err := ask(ctx, http.MethodPost, endpoint, string(b), http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS." + op},
	})
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, &sqsRefusal{op, status, string(b)}
	}
	out := make(map[string]any)
	if len(b) > 0 {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

// sqsRefusal is an answer of SQS that is not 200.
type sqsRefusal struct {
	op     string
	status int
	body   string
}

func (r *sqsRefusal) Error() string { return fmt.Sprintf("%s: %d %.200s", r.op, r.status, r.body) }

// sendRaw puts a message on the default queue past the api, and gives its MessageId.
func (w *world) sendRaw(body string) string {
	w.t.Helper()
	out, err := askSQS(w.t.Context(), w.SQS, "SendMessage", map[string]any{
		"QueueUrl": w.Queues[contract.DefaultQueue], "MessageBody": body,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out["MessageId"].(string)
}

// counts is what a queue holds: visible, in flight and delayed.
func (w *world) counts(url string) (visible, inFlight, delayed int) {
	w.t.Helper()
	out, err := askSQS(w.t.Context(), w.SQS, "GetQueueAttributes", map[string]any{"QueueUrl": url, "AttributeNames": []string{"All"}})
	if err != nil {
		w.t.Fatal(err)
	}
	attributes := out["Attributes"].(map[string]any)
	number := func(name string) int {
		n, err := strconv.Atoi(attributes[name].(string))
		if err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	return number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"),
		number("ApproximateNumberOfMessagesDelayed")
}
