package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// sender takes what is sent, or does what a test wants to go wrong.
type sender struct {
	mu   sync.Mutex
	sent []queue.Message
	fail func(context.Context) error
}

func (s *sender) Send(ctx context.Context, _ string, m queue.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(ctx); err != nil {
			return err
		}
	}
	s.sent = append(s.sent, m)
	return nil
}

// world is a Dispatcher over a real NATS.
type world struct {
	t      *testing.T
	stream *stream.Stream
	claims *stream.Bucket
	sender *sender
	*Dispatcher
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	s := testenv.NATS(t)
	claims, err := s.Bucket(t.Context(), contract.BucketClaims)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, stream: s, claims: claims, sender: &sender{}}
	o := Options{
		Source: contract.SourceAPI, Events: s, Sender: w.sender, Claims: claims, Log: slog.New(slog.DiscardHandler),
		Config: contract.Config{Queues: []contract.Queue{{Name: "default", URL: "http://sqs/default"}}},
	}
	for _, c := range change {
		c(&o)
	}
	if w.Dispatcher, err = New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

const jobID = "01890a5d-ac96-774b-bcce-b302099a8057"

func testTask(run int) contract.Task {
	return contract.Task{
		JobID: jobID, Run: run, Type: "probe", Queue: "default", Payload: []byte(`{"n":1}`),
		SubmittedAt: contract.At(time.UnixMilli(1_700_000_000_123)), Submitter: "me", Source: contract.FromAPI,
	}
}

// said lists the ids of all events, in the order of the stream.
func (w *world) said() (ids []string) {
	w.t.Helper()
	for _, e := range w.events() {
		ids = append(ids, e.ID())
	}
	return ids
}

func (w *world) events() (all []contract.Event) {
	w.t.Helper()
	info, err := w.stream.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for seq := info.First; seq <= info.Last && info.Last > 0; seq++ {
		st, err := w.stream.Event(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		if st.Fault != nil {
			w.t.Fatal(st.Fault)
		}
		all = append(all, st.Event)
	}
	return all
}

func id(run int, kind contract.Kind) string { return contract.EventID(jobID, run, 0, kind) }

func (w *world) putRun(run int, r contract.RunRecord) {
	w.t.Helper()
	b, err := r.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.claims.Put(w.t.Context(), contract.RunKey("default", jobID, run), b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) runRecord(run int) contract.RunRecord {
	w.t.Helper()
	r, revision, err := w.run(w.t.Context(), contract.RunKey("default", jobID, run))
	if err != nil || revision == 0 {
		w.t.Fatalf("run record %d: revision %d, %v", run, revision, err)
	}
	return r
}

// own makes a unit's record, and the run record that names it.
func (w *world) own(unit string, run int, state contract.UnitState) {
	w.t.Helper()
	w.putRun(run, contract.RunRecord{Owner: unit})
	task := testTask(run)
	body, err := task.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	u := contract.UnitRecord{
		State: state, Unit: unit, Queue: "default", JobID: jobID, Run: run, Type: "probe",
		SubmittedAt: task.SubmittedAt, Task: body,
	}
	if state == contract.Closed {
		u.Outcome, u.ClosedAt = contract.OutcomeSucceeded, contract.At(time.UnixMilli(1_700_000_009_000))
	}
	b, err := u.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.claims.Put(w.t.Context(), contract.UnitKey("default", unit), b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) unit(name string) contract.UnitRecord {
	w.t.Helper()
	e, err := w.claims.Get(w.t.Context(), contract.UnitKey("default", name))
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := contract.DecodeUnit(e.Value)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}
