package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/dispatch"
	"tallyman/internal/natslocal"
	"tallyman/internal/queue"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// world is a server on a free port, with a real NATS, a real SQS, and a bookkeeper in the aggregator's place.
type world struct {
	t      testing.TB
	url    string
	server *Server
	nats   *natslocal.Server
	stream *stream.Stream
	queue  *queue.Client
	at     string // URL of the SQS queue
	claims *stream.Bucket
	faults *sqslocal.Faults
	http   *checkingTransport
	stop   func()
}

// patience is for machines that are busy.
const patience = 30 * time.Second

const personSchema = `{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0}}}`

func testConfig(url string) contract.Config {
	return contract.Config{Webhooks: []contract.Webhook{{Name: "ours", URL: "https://hooks.example:444/x?token=y", Events: []contract.Kind{contract.Failed}}}, Queues: []contract.Queue{
		{Name: "default", URL: url, DefaultType: "probe", Types: []contract.JobType{
			{Name: "process-data"}, {Name: "probe"}, {Name: "store-event"},
			{Name: "person", Command: []string{"true"}, Schema: json.RawMessage(personSchema)},
		}},
		{Name: "media", URL: url, DefaultType: "resize", Types: []contract.JobType{{Name: "resize", Command: []string{"true"}}}},
	}}
}

// minutely knows one expression; the scheduler's own is tested there.
type minutely struct{}

func (minutely) Next(cron, _ string, after time.Time) (time.Time, error) {
	if cron != "* * * * *" {
		return time.Time{}, errors.New("not five fields")
	}
	return after.Truncate(time.Minute).Add(time.Minute), nil
}

// newWorld starts everything; change may alter the server's options.
func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := newServer(t, change...)
	w.run(newBookkeeper(w.stream, w.bucket(contract.BucketJobs)).run)
	return w
}

// newServer makes a server with a real NATS and a real SQS; nobody keeps books yet.
func newServer(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	srv := testenv.NATSServer(t)
	st := testenv.Dial(t, srv)
	testenv.MakeStreams(t, st)
	faults := sqslocal.NewFaults(1)
	sqs := testenv.SQS(t, sqslocal.Options{Addr: "127.0.0.1:0", Faults: faults})
	w := &world{
		t: t, nats: srv, stream: st, queue: testenv.QueueClient(t, sqs), at: testenv.Queue(t, sqs, "default", nil),
		faults: faults, http: newTransport(),
	}
	w.claims = w.bucket(contract.BucketClaims)
	log := slog.New(slog.DiscardHandler)
	config := testConfig(w.at)
	d, err := dispatch.New(dispatch.Options{
		Source: contract.SourceAPI, Config: config, Events: st, Sender: w.queue, Claims: w.claims, Log: log,
		SendTimeout: patience, // here is no relay that would send again what took too long
	})
	if err != nil {
		t.Fatal(err)
	}
	jobs, schedules := w.bucket(contract.BucketJobs), w.bucket(contract.BucketSchedules)
	o := Options{
		Addr: "127.0.0.1:0", Config: config, Jobs: jobs, Schedules: schedules, Ticks: schedules,
		Output: w.bucket(contract.BucketOutput), Webhooks: w.bucket(contract.BucketWebhooks), Events: st, Signals: st, Dispatch: d, Cron: minutely{}, Past: blank{}, Log: log,
		Claims: w.claims, Counter: w.queue, Remarks: st, Auditor: blank{}, Reports: w.bucket(contract.BucketAudit), Timeout: patience,
	}
	for _, c := range change {
		c(&o)
	}
	w.server, err = New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + w.server.Addr()
	return w
}

func (w *world) bucket(name string) *stream.Bucket {
	w.t.Helper()
	b, err := w.stream.Bucket(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// run serves, beside whoever keeps the books, until the test ends or stop is called, whichever is first.
func (w *world) run(books func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := w.server.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	work.Go(func() {
		if err := books(ctx); err != nil && !errors.Is(err, context.Canceled) {
			w.t.Errorf("bookkeeper: %v", err)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
	})
	w.t.Cleanup(w.stop)
	w.eventually("ready", func() bool { return w.get("/readyz").status == http.StatusOK })
}

// eventually polls until ok, or fails after a deadline.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(60 * time.Second) // for machines that are busy
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("never came to be: %s", what)
		}
	}
}

// answer is a response that has been read.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// into decodes the body.
func (a answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
}

func (a answer) problem() (p problem) {
	a.t.Helper()
	a.into(&p)
	return p
}

// want fails unless the answer has the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// header is one header of a request.
type header struct{ name, value string }

func (w *world) do(method, path, body string, headers ...header) answer {
	w.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
		if h.name == "Host" {
			req.Host = h.value
		}
	}
	res, err := w.http.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{w.t, res.StatusCode, res.Header, b}
}

func (w *world) get(path string, headers ...header) answer {
	w.t.Helper()
	return w.do("GET", path, "", headers...)
}

// submit posts a job and waits until the books hold it in a state.
func (w *world) submit(body string, state contract.State) string {
	w.t.Helper()
	var r receipt
	w.do("POST", "/jobs", body).want(http.StatusAccepted).into(&r)
	w.await(r.JobID, state)
	return r.JobID
}

func (w *world) await(id string, state contract.State) (v view) {
	w.t.Helper()
	w.eventually("job "+id+" "+string(state), func() bool {
		a := w.get("/jobs/" + id)
		if a.status != http.StatusOK {
			return false
		}
		v = view{}
		a.into(&v)
		return v.State == state
	})
	return v
}

// messages takes what is on the queue, until nothing has come for a moment.
func (w *world) messages() (tasks []contract.Task) {
	w.t.Helper()
	for {
		got, err := w.queue.Receive(w.t.Context(), w.at, 10, 0, 30*time.Second)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(got) == 0 {
			return tasks
		}
		for _, m := range got {
			t, err := contract.DecodeTask(m.Body)
			if err != nil {
				w.t.Fatal(err)
			}
			tasks = append(tasks, t)
		}
	}
}

// say publishes an event of a job as another component would.
func (w *world) say(id string, e contract.Event) {
	w.t.Helper()
	e.JobID, e.Queue, e.Time = id, or(e.Queue, "default"), contract.At(time.Now())
	e.Type, e.Source, e.Run = or(e.Type, "process-data"), or(e.Source, contract.SourceProcessor), or(e.Run, 1)
	e.SubmittedAt = contract.At(time.Now())
	if _, err := w.stream.Publish(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
}

// bookkeeper keeps job documents from events as the aggregator does, without its guarantees: one event at
// a time, no sums but the states.
type bookkeeper struct {
	stream *stream.Stream
	jobs   *stream.Bucket
	docs   map[string]*contract.Job
}

func newBookkeeper(s *stream.Stream, jobs *stream.Bucket) *bookkeeper {
	return &bookkeeper{stream: s, jobs: jobs, docs: make(map[string]*contract.Job)}
}

func (b *bookkeeper) run(ctx context.Context) error {
	return b.stream.Follow(ctx, 0, func(st stream.Stored) error {
		if st.Fault != nil || st.Event.Kind.OfUnit() {
			return nil
		}
		job := b.fold(st.Seq, &st.Event)
		if err := b.put(ctx, contract.JobKey(job.JobID), job); err != nil {
			return err
		}
		s := contract.Stats{Balanced: true, AsOf: contract.AsOf{Seq: st.Seq, Time: contract.At(st.At)}}
		for _, j := range b.docs {
			s.Jobs.Submitted++
			*s.Jobs.Of(j.State)++
		}
		s.SucceedJob, s.FailedJob = s.Jobs.Succeeded, s.Jobs.Failed
		return b.put(ctx, contract.KeyStats, s)
	})
}

func (b *bookkeeper) put(ctx context.Context, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	for range 5 {
		_, err = b.jobs.Put(ctx, key, raw)
		if !errors.Is(err, stream.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return nil // a test took NATS away
}

func (b *bookkeeper) fold(seq uint64, e *contract.Event) *contract.Job {
	job := b.docs[e.JobID]
	if job == nil {
		job = &contract.Job{V: 1, JobID: e.JobID, Queue: e.Queue, Type: e.Type, SubmittedAt: e.SubmittedAt}
		b.docs[e.JobID] = job
	}
	job.Events, job.UpdatedAt = append(job.Events, seq), e.Time
	r := runOf(job, e.Run)
	if r == nil {
		job.Runs = append(job.Runs, contract.JobRun{Run: e.Run})
		r = &job.Runs[len(job.Runs)-1]
	}
	for e.Attempt > len(r.Attempts) {
		r.Attempts = append(r.Attempts, contract.JobAttempt{Attempt: len(r.Attempts) + 1})
	}
	fact(job, r, seq, e)
	return job
}

// fact joins one event; the tests send each run's in order.
func fact(job *contract.Job, r *contract.JobRun, seq uint64, e *contract.Event) {
	var a *contract.JobAttempt
	if e.Attempt > 0 {
		a = &r.Attempts[e.Attempt-1]
	}
	job.Run, job.Attempt, job.EndedAt = r.Run, len(r.Attempts), contract.Time{}
	switch e.Kind {
	case contract.Submitted:
		r.SubmittedAt, job.State = e.Time, or(map[bool]contract.State{r.TaskSeq > 0: job.State}[true], contract.StateAccepted)
		r.TaskSeq = or(r.TaskSeq, seq)
	case contract.Queued:
		r.QueuedAt = e.Time
		if len(r.Attempts) == 0 && r.Outcome == "" {
			job.State = contract.StateQueued
		}
	case contract.Claimed:
		a.ClaimedAt, job.State = e.Time, contract.StateRunning
	case contract.Started:
		a.StartedAt, job.State = e.Time, contract.StateRunning
	case contract.AttemptFailed:
		a.EndedAt, a.Ending, a.Reason, a.EndingSeq = e.Time, contract.EndingFailed, e.Reason, seq
		job.State, job.Reason = contract.StateRetrying, e.Reason
	default:
		r.Outcome, r.Reason, r.EndedAt, r.OutcomeSeq = contract.Outcome(e.Kind), e.Reason, e.Time, seq
		job.State, job.Reason, job.EndedAt = contract.State(e.Kind), e.Reason, e.Time
		if a != nil {
			a.EndedAt, a.Ending, a.EndingSeq = e.Time, contract.EndingSucceeded, seq
		}
	}
}
