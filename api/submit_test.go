package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tallyman/contract"
	"tallyman/internal/sqslocal"
)

func TestSubmitWithNoBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var r receipt
	a := w.do("POST", "/jobs", "").want(202)
	a.into(&r)
	if r.State != contract.StateQueued || a.header.Get("Location") != "/jobs/"+r.JobID {
		t.Errorf("%+v, Location %s", r, a.header.Get("Location"))
	}
	want := []contract.Task{{
		JobID: r.JobID, Run: 1, Type: "process-data", Queue: "default", Payload: []byte("{}"), Submitter: "api", Source: contract.FromAPI,
	}}
	if diff := cmp.Diff(want, w.messages(), cmpopts.IgnoreFields(contract.Task{}, "SubmittedAt")); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
}

func TestSubmitEveryField(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return now } })
	payload := `{ "b":1.50, "a":[1e2, "\u00e9\ud800"], "a":null }`
	a := w.do("POST", "/jobs", `{"queue":"media","type":"resize","payload": `+payload+` ,"tags":["x","y"],"timeoutSeconds":7}`,
		header{"X-Submitter", "team/a"}, header{"X-Request-ID", "req-1"})
	var r receipt
	a.want(202).into(&r)
	want := contract.Task{
		JobID: r.JobID, Run: 1, Type: "resize", Queue: "media", Payload: []byte(payload), SubmittedAt: contract.At(now),
		Submitter: "team/a", Source: contract.FromAPI, TimeoutSeconds: 7, Tags: []string{"x", "y"},
	}
	if diff := cmp.Diff([]contract.Task{want}, w.messages()); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	if got := a.header.Get("X-Request-ID"); got != "req-1" {
		t.Errorf("request id %q", got)
	}
	v := w.await(r.JobID, contract.StateQueued)
	if v.Submitter != "team/a" || v.TimeoutSeconds != 7 || len(v.Tags) != 2 || v.Source != contract.FromAPI {
		t.Errorf("view %+v", v)
	}
}

func TestSubmitWithDelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit(`{"delaySeconds":60}`, contract.StateQueued)
	if got := w.messages(); len(got) > 0 {
		t.Errorf("delivered at once: %+v", got)
	}
	var v view
	w.get("/jobs/" + id).into(&v)
	if ahead := v.NotBefore.Sub(v.SubmittedAt.Time); ahead != time.Minute {
		t.Errorf("not before %s ahead", ahead)
	}
}

// A client's retry is the same job, whatever has become of it; with other work it is a mistake.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := header{"Idempotency-Key", "order-1"}
	id := contract.KeyID("api", "order-1")
	post := func(body string, status int) (r receipt) {
		t.Helper()
		w.do("POST", "/jobs", body, key).want(status).into(&r)
		return r
	}
	if r := post(`{"type":"probe"}`, 202); r.JobID != id || r.State != contract.StateQueued {
		t.Fatalf("%+v", r)
	}
	w.await(id, contract.StateQueued)
	if r := post(`{"type":"probe"}`, 202); r.State != contract.StateQueued {
		t.Fatalf("%+v", r)
	}
	w.say(id, contract.Event{Kind: contract.Claimed, Type: "probe", Attempt: 1})
	w.await(id, contract.StateRunning)
	if r := post(`{"type":"probe"}`, 202); r.JobID != id || r.State != contract.StateRunning {
		t.Fatalf("%+v", r)
	}
	if got := w.messages(); len(got) != 1 {
		t.Errorf("%d messages, want 1", len(got))
	}
	for _, body := range []string{`{}`, `{"type":"probe","payload":1}`, `{"type":"probe","tags":["a"]}`, `{"type":"probe","timeoutSeconds":1}`} {
		if p := w.do("POST", "/jobs", body, key).want(409).problem(); p.Code != contract.CodeConflict || p.Field != headerKey {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if r := w.do("POST", "/jobs", `{}`, key, header{"X-Submitter", "another"}).want(202); strings.Contains(string(r.body), id) {
		t.Error("two submitters share a key")
	}
}

// A job that the ledger holds as accepted was never sent, as far as anybody knows: its retry sends it, with
// the task that is recorded.
func TestIdempotencyKeyOfAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := header{"Idempotency-Key", "k"}
	mend := w.faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	var r receipt
	w.do("POST", "/jobs", "", key).want(202).into(&r)
	if r.State != contract.StateAccepted {
		t.Fatalf("%+v", r)
	}
	first := w.await(r.JobID, contract.StateAccepted)
	mend()
	w.eventually("sent", func() bool { // the client of SQS may be backing off still
		w.do("POST", "/jobs", "{}", key).want(202).into(&r)
		return r.State != contract.StateAccepted
	})
	got := w.messages()
	for _, task := range got {
		if task.SubmittedAt != first.SubmittedAt {
			t.Errorf("another task was sent than the one that is recorded: %+v", task)
		}
	}
	if len(got) == 0 {
		t.Error("nothing was sent")
	}
}

// Nor is other work sent while the recorded task cannot be read yet.
func TestIdempotencyKeyWhileAServerIsBehind(t *testing.T) {
	t.Parallel()
	var lag *lagging
	w := newWorld(t, func(o *Options) { lag = lagged(o) })
	key := header{"Idempotency-Key", "k"}
	mend := w.faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	var r receipt
	w.do("POST", "/jobs", `{"payload":1}`, key).want(202).into(&r)
	w.await(r.JobID, contract.StateAccepted)
	mend()
	lag.until.Store(0)
	w.server.words = newWords(lag) // which remember nothing
	w.do("POST", "/jobs", `{"payload":2}`, key).want(503)
	if got := w.messages(); len(got) > 0 {
		t.Errorf("sent %+v", got)
	}
	lag.catchUp()
	w.do("POST", "/jobs", `{"payload":2}`, key).want(409)
}

// Claims are kept for longer than the documents of finished jobs: a key that comes back in between is the same job still.
func TestIdempotencyKeyOfAJobWhoseDocumentIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := header{"Idempotency-Key", "old"}
	id := contract.KeyID("api", "old")
	stone := contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: contract.At(time.Now())}
	b, err := stone.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.claims.Create(t.Context(), contract.RunKey("default", id, 1), b); err != nil {
		t.Fatal(err)
	}
	var r receipt
	w.do("POST", "/jobs", "{}", key).want(202).into(&r)
	if r.JobID != id || r.State != contract.StateCancelled {
		t.Errorf("%+v", r)
	}
	if got := w.messages(); len(got) > 0 {
		t.Errorf("sent %+v", got)
	}
	if i, err := w.stream.Info(t.Context()); err != nil || i.Last > 0 {
		t.Errorf("%d events, %v", i.Last, err)
	}
}

// The ledger hears of a job a moment after its 202. A key that is used again meanwhile must not send other work.
func TestIdempotencyKeyWhileTheLedgerIsBehind(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	books := newBookkeeper(w.stream, w.bucket(contract.BucketJobs))
	w.run(func(ctx context.Context) error {
		if err := books.put(ctx, contract.KeyStats, contract.Stats{}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	key := header{"Idempotency-Key", "k"}
	w.do("POST", "/jobs", `{"payload":1}`, key).want(202)
	for _, body := range []string{`{"payload":2}`, `{"payload":1,"queue":"media"}`, `{"payload":1,"tags":["a"]}`} {
		if p := w.do("POST", "/jobs", body, key).want(409).problem(); p.Code != contract.CodeConflict || p.Field != headerKey {
			t.Errorf("%s: %+v", body, p)
		}
	}
	w.do("POST", "/jobs", `{"payload":1}`, key).want(202)
	w.do("POST", "/jobs/batch", `[{"payload":3},{"payload":4}]`, key).want(200)
	var r batchResult
	w.do("POST", "/jobs/batch", `[{"payload":3},{"payload":5}]`, key).want(200).into(&r)
	if r.Accepted != 1 || r.Results[1].Status != 409 {
		t.Errorf("a batch: %+v", r)
	}
	sent := make(map[string]int)
	for _, m := range w.messages() {
		sent[m.Queue+" "+string(m.Payload)]++
	}
	if diff := cmp.Diff(map[string]int{"default 1": 2, "default 3": 2, "default 4": 1}, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestSubmitWithNATSAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nats.Stop()
	p := w.do("POST", "/jobs", "").want(503).problem()
	if p.Code != contract.CodeUnavailable {
		t.Errorf("%+v", p)
	}
	if got := w.messages(); len(got) > 0 {
		t.Errorf("sent, and nobody has recorded it: %+v", got)
	}
	w.do("POST", "/jobs/batch", "[{},{}]").want(503)
	w.get("/jobs/stats").want(200) // the last known books
	w.get("/jobs").want(200)
	w.get("/readyz").want(503)
	w.get("/healthz").want(200)
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, h := range []header{
		{"Idempotency-Key", ""}, {"Idempotency-Key", "a b"}, {"Idempotency-Key", strings.Repeat("k", 129)}, {"X-Submitter", "ü"}, {"X-Submitter", "a b"},
	} {
		if p := w.do("POST", "/jobs", "", h).want(400).problem(); p.Code != contract.CodeInvalidValue || p.Field != h.name || p.Errors[0].Pointer != "" {
			t.Errorf("%v: %+v", h, p)
		}
	}
	w.do("POST", "/jobs", "{}", header{"Content-Encoding", "gzip"}).want(415)
	w.do("POST", "/jobs", "{}", header{"Content-Type", "application/json; charset=utf-8"}).want(202)
}

func TestBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	big := `{"payload":"` + strings.Repeat("x", contract.MaxTaskBytes) + `"}`
	body := `[{}, {"type":"nope"}, 7, {"type":"probe"}, ` + big + `, {"payload":"` + strings.Repeat("x", maxPostBody) + `"}]`
	var r batchResult
	w.do("POST", "/jobs/batch", body, header{"Idempotency-Key", "b"}).want(200).into(&r)
	if r.Accepted != 2 || r.Refused != 4 {
		t.Errorf("accepted %d, refused %d", r.Accepted, r.Refused)
	}
	for i, want := range []int{202, 400, 400, 202, 413, 413} {
		item := r.Results[i]
		if item.Index != i || item.Status != want || (want == 202) != (item.Error == nil) {
			t.Errorf("%d: %+v", i, item)
		}
		if want == 202 && item.JobID != contract.KeyID("api", fmt.Sprintf("b/%d", i)) {
			t.Errorf("%d: id %s", i, item.JobID)
		}
	}
	if got := w.messages(); len(got) != 2 {
		t.Errorf("%d messages", len(got))
	}
	for _, bad := range []string{`[]`, `{}`, `[{}`, `[` + strings.Repeat("{},", maxBatch) + `{}]`} {
		w.do("POST", "/jobs/batch", bad).want(400)
	}
}

// A full batch, on whatever machine: each post has its own job, and all of them are in the books.
func TestBatchOfAThousand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var r batchResult
	w.do("POST", "/jobs/batch", "["+strings.Repeat("{},", maxBatch-1)+"{}]").want(http.StatusOK).into(&r)
	ids := make(map[string]bool)
	for _, item := range r.Results {
		ids[item.JobID] = true
	}
	if r.Accepted != maxBatch || len(ids) != maxBatch {
		t.Errorf("%d accepted, %d ids", r.Accepted, len(ids))
	}
	w.eventually("a thousand in the books", func() bool {
		var s contract.Stats
		w.get("/jobs/stats").into(&s)
		return s.Jobs.Submitted == maxBatch
	})
}

func TestTraceParent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	valid := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, tp := range []string{valid, "nonsense", strings.Repeat("-", 55)} {
		w.do("POST", "/jobs", "", header{"traceparent", tp}).want(202)
		got, err := w.queue.Receive(t.Context(), w.at, 1, 5*time.Second, time.Minute)
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		if trace := got[0].Attributes[contract.AttributeTraceParent]; (trace == tp) != (tp == valid) {
			t.Errorf("%s: carried %q", tp, trace)
		}
	}
}
