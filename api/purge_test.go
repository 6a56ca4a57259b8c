package api

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// purge asks for one, and gives its answer.
func (w *world) purge(path string) (p purged) {
	w.t.Helper()
	w.do("POST", "/queues/"+path, "").want(200).into(&p)
	return p
}

// states tells the state of each job, as the books have it.
func (w *world) states(ids ...string) (all []contract.State) {
	w.t.Helper()
	for _, id := range ids {
		var v view
		w.get("/jobs/" + id).want(200).into(&v)
		all = append(all, v.State)
	}
	return all
}

// come makes a job known that says it was submitted at a time of the test's own.
func (w *world) come(id, queue string, at time.Time) {
	w.t.Helper()
	task := contract.Task{
		JobID: id, Run: 1, Type: "probe", Queue: queue, Payload: []byte("{}"), SubmittedAt: contract.At(at), Submitter: "x", Source: contract.FromAPI,
	}
	body, err := task.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	e := contract.Event{
		Kind: contract.Submitted, Source: contract.SourceAPI, Time: task.SubmittedAt, Queue: queue, Type: "probe", JobID: id, Run: 1,
		SubmittedAt: task.SubmittedAt, Task: body,
	}
	if _, err := w.stream.Publish(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
	w.await(id, contract.StateAccepted)
}

// Whoever writes a limit into the body means to cancel less than all.
func TestPurgeHasNoBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	for _, body := range []string{`{"limit":0}`, "{}", "limit=0", "\x1f\x8b"} {
		if p := w.do("POST", "/queues/default/purge", body).want(400).problem(); p.Code != contract.CodeInvalidValue || !strings.Contains(p.Detail, "?limit=0") {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if got := w.purge("default/purge?limit=0"); got.Remaining != 1 {
		t.Errorf("%+v", got)
	}
	if got := w.states(id); got[0] != contract.StateQueued {
		t.Errorf("%v", got)
	}
}

// What waited when it was asked for is cancelled, page by page; what runs, what came later, by whatever time it
// names, and other queues' jobs stay.
func TestPurge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	running := w.submit("", contract.StateQueued)
	w.own(running)
	other := w.submit(`{"queue":"media"}`, contract.StateQueued)
	var waiting []string
	for range 5 {
		waiting = append(waiting, w.submit("", contract.StateQueued))
	}
	if p := w.purge("default/purge?limit=0"); p != (purged{Queue: "default", Remaining: 5}) {
		t.Errorf("%+v", p)
	}
	p := w.purge("default/purge?limit=2")
	if p.Cancelled != 2 || p.Remaining != 3 || p.Next == "" {
		t.Fatalf("%+v", p)
	}
	w.await(waiting[4], contract.StateCancelled)
	w.await(waiting[3], contract.StateCancelled)
	late := w.submit("", contract.StateQueued)
	w.come(noJob, "default", time.Now().Add(-time.Hour))
	if p = w.purge("default/purge?limit=3&cursor=" + p.Next); p.Cancelled != 3 || p.Remaining != 1 || p.Next == "" {
		t.Fatalf("%+v", p)
	}
	if p = w.purge("default/purge?cursor=" + p.Next); p != (purged{Queue: "default"}) {
		t.Errorf("what came later: %+v", p)
	}
	for _, id := range waiting {
		w.await(id, contract.StateCancelled)
	}
	want := []contract.State{contract.StateRunning, contract.StateQueued, contract.StateQueued, contract.StateAccepted}
	if got := w.states(running, other, late, noJob); strings.Join(words2(got), " ") != strings.Join(words2(want), " ") {
		t.Errorf("%v, want %v", got, want)
	}
	if p = w.purge("default/purge"); p.Cancelled != 2 || p.Remaining != 0 {
		t.Errorf("%+v", p)
	}
	for query, field := range map[string]string{"limit=-1": "limit", "limit=1001": "limit", "cursor=x": "cursor", "cursor=0." + cursor{1, noJob}.String(): "cursor", "queue=media": "queue"} {
		if p := w.do("POST", "/queues/default/purge?"+query, "").want(400).problem(); p.Field != field {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

// A job that a unit has claimed while the ledger still holds it as queued goes on, and is not counted. Nor is one
// that was cancelled already.
func TestPurgeAgainstClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claimed, cancelledBefore, unreadable, waits := w.submit("", contract.StateQueued), w.submit("", contract.StateQueued), w.submit("", contract.StateQueued), w.submit("", contract.StateQueued)
	owned := contract.RunRecord{Owner: "unit-1"}
	stone := contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: contract.At(time.Now())}
	for id, r := range map[string]*contract.RunRecord{claimed: &owned, cancelledBefore: &stone} {
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.claims.Create(t.Context(), contract.RunKey("default", id, 1), b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.claims.Create(t.Context(), contract.RunKey("default", unreadable, 1), []byte("{")); err != nil {
		t.Fatal(err)
	}
	if p := w.purge("default/purge"); p != (purged{Queue: "default", Cancelled: 1}) {
		t.Errorf("%+v", p)
	}
	w.await(waits, contract.StateCancelled)
	w.await(cancelledBefore, contract.StateCancelled) // its word was not said
	e, err := w.claims.Get(t.Context(), contract.RunKey("default", claimed, 1))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := contract.DecodeRun(e.Value); err != nil || r != owned {
		t.Errorf("%+v, %v", r, err)
	}
	if got := w.states(claimed, unreadable); got[0] != contract.StateQueued || got[1] != contract.StateQueued {
		t.Errorf("%v", got)
	}
}

// Whoever was answered for a moment ago is not passed over; a queue that is no longer configured can be emptied.
func TestPurgeKnowsWhatWasJustPosted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		w.do("POST", "/jobs", "").want(202)
		if p := w.purge("default/purge"); p != (purged{Queue: "default", Cancelled: 1}) {
			t.Fatalf("%+v", p)
		}
	}
	id := w.submit("", contract.StateQueued)
	for run := range 2 { // the newest run is what waits
		if p := w.purge("default/purge"); p != (purged{Queue: "default", Cancelled: 1}) {
			t.Fatalf("run %d: %+v", run+1, p)
		}
		if v := w.await(id, contract.StateCancelled); v.Run != run+1 {
			t.Errorf("run %d is cancelled, want %d", v.Run, run+1)
		}
		w.do("POST", "/jobs/"+id+"/requeue", "").want(202)
	}
	w.come(noJob, "removed", time.Now())
	if p := w.purge("removed/purge"); p != (purged{Queue: "removed", Cancelled: 1}) {
		t.Errorf("%+v", p)
	}
	w.await(noJob, contract.StateCancelled)
	if p := w.do("POST", "/queues/removed/purge", "").want(404).problem(); !strings.Contains(p.Detail, "there are default, media") {
		t.Errorf("%+v", p)
	}
}

// With books that do not move nothing is said of what waits.
func TestPurgeWithBooksBehind(t *testing.T) {
	t.Parallel()
	w := newServer(t, func(o *Options) { o.Timeout = 200 * time.Millisecond })
	w.run(func(ctx context.Context) error { <-ctx.Done(); return nil })
	w.say(noJob, contract.Event{Kind: contract.Noop, Unit: "unit-1", Pod: "pod-1"})
	if p := w.do("POST", "/queues/default/purge", "").want(503).problem(); !strings.Contains(p.Detail, "1 events behind") {
		t.Errorf("%+v", p)
	}
}

// failing cancels some, then NATS is away.
type failing struct {
	Dispatcher
	left atomic.Int64
}

func (f *failing) CancelUnclaimed(ctx context.Context, t contract.Task) (bool, error) {
	if f.left.Add(-1) < 0 {
		return false, stream.ErrUnavailable
	}
	return f.Dispatcher.CancelUnclaimed(ctx, t)
}

// A purge that NATS cut off is asked for again, and ends what is left.
func TestPurgeIsRepeated(t *testing.T) {
	t.Parallel()
	f := &failing{}
	w := newWorld(t, func(o *Options) { f.Dispatcher, o.Dispatch = o.Dispatch, f })
	var ids []string
	for range 4 {
		ids = append(ids, w.submit("", contract.StateQueued))
	}
	f.left.Store(1)
	w.do("POST", "/queues/default/purge", "").want(503)
	f.left.Store(100)
	if p := w.purge("default/purge"); p.Cancelled == 0 || p.Remaining != 0 {
		t.Errorf("%+v", p)
	}
	for _, id := range ids {
		w.await(id, contract.StateCancelled)
	}
}

// Where its time is up, a purge says how far it came, and the next goes on.
func TestPurgeInParts(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	w.server.purgeFor = 0
	w.run(newBookkeeper(w.stream, w.bucket(contract.BucketJobs)).run)
	const jobs = purgeInFlight + 7
	w.do("POST", "/jobs/batch", "["+strings.Repeat("{},", jobs-1)+"{}]").want(200)
	p := w.purge("default/purge")
	if p.Cancelled != purgeInFlight || p.Remaining != 7 {
		t.Fatalf("%+v", p)
	}
	if p = w.purge("default/purge?cursor=" + p.Next); p != (purged{Queue: "default", Cancelled: 7}) {
		t.Errorf("%+v", p)
	}
	w.eventually("all are cancelled", func() bool {
		var s contract.Stats
		w.get("/jobs/stats").into(&s)
		return s.Jobs.Cancelled == jobs && s.Jobs.Submitted == jobs
	})
}
