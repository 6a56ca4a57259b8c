package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman/api/explain"
	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
)

func (w *world) explain(id string) (x contract.Explanation) {
	w.t.Helper()
	w.get("/jobs/" + id + "/explain").want(200).into(&x)
	return x
}

// is waits until a job is in a situation.
func (w *world) is(id, situation string) (x contract.Explanation) {
	w.t.Helper()
	w.eventually(situation, func() bool { x = w.explain(id); return x.Situation == situation })
	return x
}

// silent lists the sources that did not answer.
func silent(x contract.Explanation) (sources []string) {
	for _, e := range x.Evidence {
		if e.Silent {
			sources = append(sources, string(e.Source))
		}
	}
	return sources
}

// see writes what a bridge would, of a queue of which all is well.
func (w *world) see(at time.Time) {
	w.t.Helper()
	v := `{"v":1,"queue":"default","cluster":"c","at":"` + contract.At(at).String() + `","scaledJob":{"queue":"default","namespace":"n","name":"s","max":3},"units":0,"claimed":0}`
	if _, err := w.claims.Put(w.t.Context(), contract.SightKey("default"), []byte(v)); err != nil {
		w.t.Fatal(err)
	}
}

// The description has each situation that there is, and no other.
func TestSpecHasEverySituation(t *testing.T) {
	t.Parallel()
	schemas := mustSpec().doc["components"].(map[string]any)["schemas"].(map[string]any)
	var got []string
	for _, v := range schemas["Situation"].(map[string]any)["enum"].([]any) {
		got = append(got, v.(string))
	}
	if want := explain.Situations(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The situations of a queue as SQS shows it, and of a bridge that does not look.
func TestExplainAgainstSQS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.submit("", contract.StateQueued)
	if x := w.is(first, "bridge-away"); !strings.Contains(x.Sentence, `no bridge has ever told of queue "default"`) {
		t.Errorf("%q", x.Sentence)
	}
	w.see(time.Now().Add(-time.Hour))
	if x := w.is(first, "bridge-away"); !strings.Contains(x.Sentence, `60m ago`) {
		t.Errorf("%q", x.Sentence)
	}
	w.see(time.Now())
	w.is(first, "queued")
	second := w.submit("", contract.StateQueued)
	if x := w.is(second, "behind-others"); !strings.Contains(x.Sentence, "behind 1 other; queue \"default\" runs 0 of at most 3 jobs") {
		t.Errorf("%q", x.Sentence)
	}
	w.messages() // somebody receives them, and deletes none
	w.is(first, "hidden")
	remove := w.faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	x := w.is(second, "sqs-away")
	if got := silent(x); !slices.Equal(got, []string{"sqs"}) {
		t.Errorf("silent are %v", got)
	}
	remove()
	w.say(second, contract.Event{Kind: contract.Failed, Source: contract.SourceScheduler, Reason: contract.Expired, Message: "4d in the queue"})
	if x := w.is(second, "failed-expired"); !strings.Contains(x.Sentence, "before its first attempt, because it waited longer than its queue keeps messages: 4d in the queue.") {
		t.Errorf("%q", x.Sentence)
	}
}

// A job of a queue that was taken out of the configuration waits for nobody who is merely away.
func TestExplainAQueueThatIsConfiguredNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	now := contract.At(time.Now())
	task := contract.Task{
		JobID: id, Run: 1, Type: "resize", Queue: "gone", Payload: []byte("{}"), SubmittedAt: now, Submitter: "alice", Source: contract.FromAPI,
	}
	b, err := task.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.say(id, contract.Event{Kind: contract.Submitted, Source: contract.SourceAPI, Queue: "gone", Type: "resize", Task: b})
	x := w.is(id, "queue-unknown")
	if !strings.Contains(x.Sentence, `the configuration has no queue "gone" any more`) || len(silent(x)) > 0 {
		t.Errorf("%q; silent are %v", x.Sentence, silent(x))
	}
	w.do("DELETE", "/jobs/"+id, "").want(202) // as it says
	w.is(id, "cancelled")
}

// A message that somebody purged is missed, once its queue has been empty for a while.
func TestExplainAPurgedQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
		o.QueuedAfter = 7 * time.Minute
	})
	w.see(time.Now().Add(2 * time.Minute))
	id := w.submit("", contract.StateQueued)
	got, err := w.queue.Receive(t.Context(), w.at, 1, 0, time.Minute)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if err := w.queue.Delete(t.Context(), w.at, got[0].Receipt); err != nil {
		t.Fatal(err)
	}
	if x := w.is(id, "emptied"); !strings.Contains(x.Sentence, "empty for 7m.") {
		t.Errorf("the sentence is not of the configuration: %s", x.Sentence)
	}
}

// What the claim says before the ledger has heard of it, and a bridge that is away meanwhile.
func TestExplainByTheClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.own(id)
	w.say(id, contract.Event{Kind: contract.Started, Attempt: 1})
	w.is(id, "unwatched")
	w.see(time.Now())
	w.is(id, "running")
	w.do("DELETE", "/jobs/"+id, "").want(202)
	w.is(id, "cancelling")
	e, err := w.claims.Get(t.Context(), contract.UnitKey("default", "unit-1"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := contract.DecodeUnit(e.Value)
	if err != nil {
		t.Fatal(err)
	}
	u.State, u.Outcome, u.ClosedAt = contract.Closed, contract.OutcomeCancelled, contract.At(time.Now())
	b, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.claims.Put(t.Context(), e.Key, b); err != nil {
		t.Fatal(err)
	}
	w.is(id, "ended-unsaid")
}

// stuck is a source that never answers.
type stuck struct{}

func (stuck) Get(ctx context.Context, _ string) (stream.Entry, error) {
	<-ctx.Done()
	return stream.Entry{}, ctx.Err()
}

func (stuck) Counts(ctx context.Context, _ string) (queue.Counts, error) {
	<-ctx.Done()
	return queue.Counts{}, ctx.Err()
}

func (stuck) LastScaling(ctx context.Context, _ string) ([]contract.Scaling, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Each source has its own deadline: with all of them stuck there is an explanation in time, and each says so.
func TestExplainDoesNotWaitForSlowSources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Claims, o.Counter, o.Remarks = stuck{}, stuck{}, stuck{} })
	id := w.submit("", contract.StateQueued)
	began := time.Now()
	x := w.explain(id)
	if took := time.Since(began); took > 4*explainTimeout {
		t.Errorf("it took %s", took)
	}
	if got, want := silent(x), []string{"sqs", "bridge", "kubernetes", "claim"}; !slices.Equal(got, want) {
		t.Errorf("silent are %v, want %v", got, want)
	}
	for _, e := range x.Evidence {
		if e.Silent && e.Says != "no answer: none within 2s" {
			t.Errorf("%+v", e)
		}
	}
}

// With NATS away the books are still in memory, and the sentence says how old they are.
func TestExplainWithNATSAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.submit("", contract.StateQueued)
	w.nats.Stop()
	x := w.is(id, "nats-away")
	if !strings.Contains(x.Sentence, "the job was queued since") {
		t.Errorf("%q", x.Sentence)
	}
	for _, want := range []string{"nats", "bridge", "kubernetes", "claim"} {
		if !slices.Contains(silent(x), want) {
			t.Errorf("%s is not silent: %+v", want, x.Evidence)
		}
	}
}

// An aggregator that is away leaves the ledger behind the stream, and the explanation says by how much.
func TestExplainALedgerThatIsBehind(t *testing.T) {
	t.Parallel()
	var lag *lagging
	w := newServer(t, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Minute) }
		lag = lagged(o)
	})
	books := newBookkeeper(w.stream, w.bucket(contract.BucketJobs))
	reading, away := context.WithCancel(t.Context())
	ended := make(chan struct{})
	w.run(func(ctx context.Context) error {
		defer close(ended)
		defer context.AfterFunc(ctx, away)()
		return books.run(reading)
	})
	id := w.submit("", contract.StateQueued)
	away()
	<-ended
	w.say(id, contract.Event{Kind: contract.Claimed, Attempt: 1})
	x := w.is(id, "ledger-behind")
	if !strings.Contains(x.Sentence, `The ledger is 1 event behind, the oldest of them from 6`) {
		t.Errorf("%q", x.Sentence)
	}
	lag.until.Store(2) // what a server of NATS has not stored yet is new, whenever that was
	w.get("/jobs/" + id + "/explain").want(200).into(&x)
	if x.Situation == "ledger-behind" || slices.Contains(silent(x), "nats") {
		t.Errorf("%s %+v", x.Sentence, x.Evidence)
	}
}
