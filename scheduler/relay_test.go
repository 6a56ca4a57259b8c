package scheduler

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
)

// attention writes the document as the aggregator does.
func (w *world) attention(accepted, queued []contract.AttentionItem) {
	w.t.Helper()
	b, err := json.Marshal(contract.Attention{V: 1, Accepted: accepted, Queued: queued})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.jobs.Put(w.t.Context(), contract.KeyAttention, b); err != nil {
		w.t.Fatal(err)
	}
}

func list(items ...contract.AttentionItem) []contract.AttentionItem { return items }

// item is what the ledger says of a run since now.
func (w *world) item(task contract.Task, seq uint64) contract.AttentionItem {
	return contract.AttentionItem{
		JobID: task.JobID, Run: task.Run, Queue: task.Queue, Type: task.Type, Since: contract.At(w.clock.Now()), TaskSeq: seq,
	}
}

// relayed does one round and gives the tasks that it sent, which it takes out of the queue.
func (w *world) relayed(r *relay) []contract.Task {
	w.t.Helper()
	if err := r.round(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return w.tasks()
}

func TestAcceptedForThirtySecondsIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	r := newRelay(&o)
	if got := w.relayed(r); got != nil {
		t.Fatalf("sent with no document: %v", got)
	}
	task := w.task("a")
	w.attention(list(w.item(task, w.submitted(task))), nil)
	w.clock.Advance(29 * time.Second)
	if got := w.relayed(r); got != nil {
		t.Fatalf("sent too early: %v", got)
	}
	w.clock.Advance(time.Second)
	got := w.relayed(r)
	if len(got) != 1 || got[0].JobID != task.JobID || string(got[0].Payload) != "1" {
		t.Fatalf("sent %v", got)
	}
	if said := w.said(); said != "submitted, queued" {
		t.Error(said)
	}
	if rec := w.runRecord(task); rec != "none" {
		t.Errorf("the relay wrote a run record: %s", rec)
	}
}

// A task that a server of NATS has not stored yet is neither given up nor put off for as long as one that is gone; one
// that is gone is, and its run ends with the retention of its queue.
func TestTheRelayWaitsForAServerThatIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lag := &lagging{Stream: w.nats}
	o := w.options(nil)
	o.Events = lag
	r := newRelay(&o)
	task, gone := w.task("a"), w.task("gone")
	seq := w.submitted(task)
	items := list(w.item(task, seq), w.item(gone, seq+1))
	w.attention(items, nil)
	w.clock.Advance(o.AcceptedAfter)
	for range 3 {
		if err := r.round(t.Context()); !errors.Is(err, stream.ErrBehind) {
			t.Errorf("the round says %v", err)
		}
		w.clock.Advance(waitAfter)
	}
	if r.tried.of(&items[0]).hopeless || !r.tried.of(&items[1]).hopeless {
		t.Error("the task that a server has not yet is given up, or the one that is gone is not")
	}
	lag.caughtUp = true
	if got := w.relayed(r); len(got) != 1 || got[0].JobID != task.JobID {
		t.Errorf("sent %v", got)
	}
}

func TestTheRelayDoesNotSendForEverAtFullSpeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	r := newRelay(&o)
	task := w.task("a")
	w.attention(list(w.item(task, w.submitted(task))), nil) // a ledger that stands still
	begin := w.clock.Now()
	var sent []time.Duration
	for range 4 * 60 * 6 {
		w.clock.Advance(10 * time.Second)
		if r.due(mustAttention(w)) != nil && len(w.relayed(r)) == 1 {
			sent = append(sent, w.clock.Now().Sub(begin))
		}
	}
	want := []time.Duration{ // 30 s, then after 30 s, 60 s, 2 min, ..., at most one hour
		30 * time.Second, 60 * time.Second, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute,
		64 * time.Minute, 124 * time.Minute, 184 * time.Minute,
	}
	if len(sent) != len(want) {
		t.Fatalf("sent at %v", sent)
	}
	for i := range want {
		if sent[i] != want[i] {
			t.Errorf("sent at %v, want %v", sent, want)
			break
		}
	}
}

func mustAttention(w *world) *contract.Attention {
	w.t.Helper()
	a, err := readAttention(w.t.Context(), w.jobs)
	if err != nil {
		w.t.Fatal(err)
	}
	return &a
}

func TestQueuedIsSentAgainOnceItsQueueWasEmptyForFiveMinutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	r := newRelay(&o)
	task, other := w.task("a"), w.task("other")
	w.attention(nil, list(w.item(task, w.submitted(task))))
	// For ten minutes the queue holds something else, in flight or visible.
	body, err := other.Encode()
	if err != nil {
		t.Fatal(err)
	}
	send := func() {
		t.Helper()
		if err := w.sqs.Send(t.Context(), w.queue().URL, queueMessage(body)); err != nil {
			t.Fatal(err)
		}
	}
	send()
	round := func(minutes int) {
		t.Helper()
		for range minutes * 4 {
			w.clock.Advance(15 * time.Second)
			if err := r.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	round(10)
	if got := w.tasks(); len(got) != 1 || got[0].JobID != other.JobID { // taken out: in flight from now on
		t.Fatalf("%v", got)
	}
	round(10)
	w.deleteAllInFlight()
	round(5)
	if got := w.tasks(); got != nil {
		t.Fatalf("sent before the queue was empty for 5 minutes: %v", got)
	}
	round(1)
	if got := w.tasks(); len(got) != 1 || got[0].JobID != task.JobID {
		t.Fatalf("%v", got)
	}
}

func TestAQueuedRunMayBeLeftToItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	o.QueuedAfter = 0
	r := newRelay(&o)
	task := w.task("a")
	w.attention(nil, list(w.item(task, w.submitted(task))))
	for range 60 {
		w.clock.Advance(time.Minute)
		if got := w.relayed(r); got != nil {
			t.Fatalf("sent %v", got)
		}
	}
}

func TestADelayIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	r := newRelay(&o)
	soon, late := w.task("soon"), w.task("late")
	soon.NotBefore = contract.At(w.clock.Now().Add(5 * time.Minute))
	late.NotBefore = contract.At(w.clock.Now().Add(time.Hour))
	w.attention(list(w.item(soon, w.submitted(soon)), w.item(late, w.submitted(late))), nil)
	w.clock.Advance(time.Minute)
	if err := r.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := w.sqs.Counts(t.Context(), w.queue().URL)
	if err != nil || c.Delayed != 1 || c.Visible != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	// SQS holds nothing back for longer than a quarter of an hour, so the other one waits here.
	w.clock.Advance(46 * time.Minute)
	if err := r.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := w.said(); said != "submitted, submitted, queued, queued" {
		t.Error(said)
	}
}

func TestWhileSQSIsAwayTheRelayWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const plenty = 1 << 20
	writes := &cut{left: plenty}
	o := w.options(writes)
	r := newRelay(&o)
	var items []contract.AttentionItem
	for i := range 40 {
		task := w.task(time.Duration(i).String())
		items = append(items, w.item(task, w.submitted(task)))
	}
	w.attention(items, nil)
	w.clock.Advance(time.Minute)
	back := w.faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	if err := r.round(t.Context()); err == nil {
		t.Fatal("nobody said that SQS is away")
	}
	back()
	writes.left = 0
	if err := r.round(t.Context()); err != nil || writes.hit {
		t.Fatalf("tried again at once: %v, %v", writes.hit, err)
	}
	writes.left = plenty
	w.clock.Advance(waitAfter)
	jobs := make(map[string]bool) // a send that was given up may still have arrived: the claim drops the copy
	for _, task := range w.relayed(r) {
		jobs[task.JobID] = true
	}
	if len(jobs) != 40 {
		t.Fatalf("%d sent", len(jobs))
	}
}

func TestARelayGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	for writes := range 3 {
		w := newWorld(t)
		task := w.task("a")
		w.attention(list(w.item(task, w.submitted(task))), nil)
		w.clock.Advance(time.Minute)
		o, cutOff := w.options(nil), w.options(&cut{left: writes})
		if err := newRelay(&cutOff).round(t.Context()); (err == nil) != (writes == 2) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		if err := newRelay(&o).round(t.Context()); err != nil { // another leader, which remembers nothing
			t.Fatal(err)
		}
		for _, got := range w.tasks() {
			if got.JobID != task.JobID {
				t.Errorf("after %d writes job %s was sent", writes, got.JobID)
			}
		}
		if said := w.said(); said != "submitted, queued" {
			t.Errorf("after %d writes: %s", writes, said)
		}
	}
}

// What SQS takes from nobody ends at once, in SQS's words; it was tried for ever, in the place of others.
func TestATaskThatSQSRefusesEndsItsRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	r := newRelay(&o)
	strange, large, owned, fine := w.task("strange"), w.task("large"), w.task("owned"), w.task("fine")
	strange.Payload = []byte("\"\uffff\"")
	large.Payload, large.Foreign, large.Source = make([]byte, 250<<10), true, contract.FromRequeue // a third more in base64
	owned.Payload = strange.Payload
	w.putRun(owned, contract.RunRecord{Owner: "unit"})
	w.attention(list(w.item(strange, w.submitted(strange)), w.item(large, w.submitted(large)),
		w.item(owned, w.submitted(owned)), w.item(fine, w.submitted(fine))), nil)
	for range 3 { // the ledger stands still
		w.clock.Advance(time.Minute)
		if got := w.relayed(r); len(got) > 1 || len(got) == 1 && got[0].JobID != fine.JobID {
			t.Fatalf("sent %v", got)
		}
	}
	for task, want := range map[*contract.Task]string{
		&strange: "failed ClaimError", &large: "failed ClaimError", &owned: "unit", &fine: "none",
	} {
		if rec := w.runRecord(*task); rec != want {
			t.Errorf("%s: record %s, want %s", task.JobID, rec, want)
		}
	}
	why := make(map[string]string)
	for _, e := range w.events() {
		if e.Kind == contract.Failed {
			why[e.JobID] = e.Message
		}
	}
	if len(why) != 2 || !strings.Contains(why[strange.JobID], "InvalidMessageContents: Invalid characters") ||
		!strings.Contains(why[large.JobID], "InvalidParameterValue: One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes") {
		t.Errorf("said why: %q", why)
	}
}

// The tombstone first, then the word; whoever is cut off between them is followed by one who says it.
func TestAnEndOfARefusedTaskGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	for writes := range 4 { // the sending, the tombstone, the word
		w := newWorld(t)
		task := w.task("a")
		task.Payload = []byte("\"\uffff\"")
		w.attention(list(w.item(task, w.submitted(task))), nil)
		w.clock.Advance(time.Minute)
		o, cutOff := w.options(nil), w.options(&cut{left: writes})
		if err := newRelay(&cutOff).round(t.Context()); (err == nil) != (writes == 3) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		if err := newRelay(&o).round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if said := w.said(); said != "submitted, failed ClaimError" {
			t.Errorf("after %d writes: %s", writes, said)
		}
	}
}
