package pipeline

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/sqslocal"
)

func (w *world) explain(id string) contract.Explanation {
	w.t.Helper()
	status, b := w.do(http.MethodGet, "/jobs/"+id+"/explain", "")
	if status == http.StatusNotFound { // the books have not heard of it yet
		return contract.Explanation{}
	}
	if status != http.StatusOK {
		w.t.Fatalf("GET /jobs/%s/explain: %d %s", id, status, b)
	}
	var x contract.Explanation
	w.read(b, &x)
	return x
}

// comesTo waits until a job is in a situation, and holds the sentence to what it must say.
func (w *world) comesTo(id, situation string, parts ...string) contract.Explanation {
	w.t.Helper()
	x := until(w, "situation "+situation+" of job "+id, func() contract.Explanation { return w.explain(id) }, func(x contract.Explanation) bool {
		return x.Situation == situation
	})
	for _, p := range parts {
		if !strings.Contains(x.Sentence, p) {
			w.t.Errorf("%s: %q does not say %q", situation, x.Sentence, p)
		}
	}
	w.t.Logf("%s: %s", situation, x.Sentence)
	return x
}

// tells wants a line of a source with a text in it, of an age that a person would call now.
func tells(t *testing.T, x contract.Explanation, from contract.EvidenceSource, part string) {
	t.Helper()
	for _, e := range x.Evidence {
		if e.Source == from && strings.Contains(e.Says, part) {
			if e.AgeSeconds > 120 {
				t.Errorf("%+v is old", e)
			}
			return
		}
	}
	t.Errorf("%s: no evidence of %s says %q: %+v", x.Situation, from, part, x.Evidence)
}

// command is a job type that runs a line of shell.
func shell(name, line string) contract.JobType {
	return contract.JobType{Name: name, Command: []string{"/bin/sh", "-c", line}, Timeout: contract.DefaultTimeout}
}

// explained is a pipeline of one queue with types that end in each way.
func explained(t *testing.T, change func(*optionsOfDev)) *world {
	t.Helper()
	return start(t, func(o *optionsOfDev) {
		q := &o.Config.Queues[0]
		q.Types = append(q.Types, shell("exits", "echo last words; exit 3"), shell("permanent", "echo no use >&2; exit 65"),
			shell("stubborn", "trap '' TERM; while :; do sleep 0.1; done"))
		if change != nil {
			change(o)
		}
	})
}

const forever = `{"target":"127.0.0.1","duration":"600"}`

// exited holds whoever speaks of an end, the processor or the bridge, to the work's own exit code.
func (w *world) exited(id string, code int) {
	w.t.Helper()
	status, b := w.do("GET", "/jobs/"+id+"/events", "")
	if status != http.StatusOK {
		w.t.Fatalf("%d: %s", status, b)
	}
	var life struct {
		Events []struct{ Event json.RawMessage }
	}
	w.read(b, &life)
	voices := make(map[contract.Source]int)
	for _, stored := range life.Events {
		e, err := contract.DecodeEvent(stored.Event)
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Kind != contract.AttemptFailed && e.Kind != contract.Failed {
			continue
		}
		voices[e.Source]++
		if e.ExitCode == nil || *e.ExitCode != code {
			w.t.Errorf("the exit code is not %d: %s", code, stored.Event)
		}
	}
	if voices[contract.SourceProcessor] == 0 || voices[contract.SourceBridge] == 0 {
		w.t.Errorf("who spoke: %v", voices)
	}
}

// Each way to end is explained, with each attempt, its exit code and its last lines.
func TestExplainHowAJobEnded(t *testing.T) {
	t.Parallel()
	w := explained(t, nil)
	ended := func(jobType, payload, situation string, attempts int, parts ...string) contract.Explanation {
		t.Helper()
		id := w.post(jobType, payload)
		x := w.comesTo(id, situation, parts...)
		if len(x.Attempts) != attempts {
			t.Errorf("%s: %d attempts, want %d: %+v", situation, len(x.Attempts), attempts, x.Attempts)
		}
		return x
	}
	ended("process-data", quick, "succeeded", 1)
	ended("process-data", `{"records":10,"pauseMs":0,"failureRate":0,"failAttempts":1}`, "succeeded", 2, "in attempt 2")
	x := ended("exits", "{}", "failed-app-exit", 3, "after 3 attempts", "exit code 3")
	for _, a := range x.Attempts {
		if a.ExitCode == nil || *a.ExitCode != 3 || a.Reason != contract.AppExit || !strings.Contains(a.Tail, "last words") {
			t.Errorf("%+v", a)
		}
	}
	w.exited(x.JobID, 3)
	x = ended("permanent", "{}", "failed-app-error", 1, "cannot be done")
	if a := x.Attempts[0]; a.ExitCode == nil || *a.ExitCode != 65 || !strings.Contains(a.Tail, "no use") {
		t.Errorf("%+v", a)
	}
	if len(x.Next) != 2 || !strings.Contains(x.Next[1], "tallyman requeue "+x.JobID) {
		t.Errorf("%q", x.Next)
	}
	ended("process-data", `{"records":20,"pauseMs":0,"failureRate":1}`, "failed-panic", 3, "panicked")
	_, b := w.do(http.MethodPost, "/jobs", `{"type":"probe","timeoutSeconds":1,"payload":`+forever+`}`)
	var r struct{ JobID string }
	w.read(b, &r)
	w.comesTo(r.JobID, "failed-timeout", "longer than it may")

	// Posted twice with one key it is one job, and run again it is the same job with its history.
	for range 2 {
		key := http.Header{"Idempotency-Key": {"explained"}}
		if status, b, err := ask(t.Context(), http.MethodPost, w.API+"/jobs", `{"type":"permanent"}`, key); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %s %v", status, b, err)
		}
	}
	id := contract.KeyID("api", "explained")
	w.comesTo(id, "failed-app-error")
	if status, b := w.do(http.MethodPost, "/jobs/"+id+"/requeue", ""); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, b)
	}
	again := until(w, "the end of run 2", func() contract.Explanation { return w.explain(id) }, func(x contract.Explanation) bool {
		return x.Run == 2 && x.Situation == "failed-app-error"
	})
	tells(t, again, contract.FromLedger, "run 1 failed AppError")
	if len(again.Attempts) != 2 || again.Attempts[0].Run != 1 {
		t.Errorf("%+v", again.Attempts)
	}
	if status, b := w.do(http.MethodGet, "/jobs/01890a5d-ac96-774b-bcce-b302099a8057/explain", ""); status != http.StatusNotFound || !strings.Contains(string(b), "there is no job") {
		t.Errorf("an unknown job: %d %s", status, b)
	}
}

// A job at work, those that wait for its place, one that waits for its time, and what a person does to them.
func TestExplainWhatAJobWaitsFor(t *testing.T) {
	t.Parallel()
	w := explained(t, func(o *optionsOfDev) { o.Config.Queues[0].Max = 1 })
	first := w.post("probe", forever)
	x := until(w, "progress", func() contract.Explanation { return w.explain(first) }, func(x contract.Explanation) bool {
		return x.Situation == "running" && strings.Contains(x.Sentence, " of 600")
	})
	tells(t, x, contract.FromWork, "of 600")
	tells(t, x, contract.FromClaim, "owns run 1, owned, 1 attempt")
	second, third := w.post("process-data", quick), w.post("process-data", quick)
	w.comesTo(second, "at-max", "1 of 1")
	x = w.comesTo(third, "at-max", "behind 1 other")
	tells(t, x, contract.FromSQS, "2 visible, 0 in flight, 0 delayed")
	tells(t, x, contract.FromKEDA, "at most 1 at a time, all taken")
	tells(t, x, contract.FromBridge, "1 Kubernetes Job under way, 1 with a job")
	tells(t, x, contract.FromClaim, "nobody has claimed run 1")

	_, b := w.do(http.MethodPost, "/jobs", `{"type":"process-data","delaySeconds":600,"payload":`+quick+`}`)
	var late struct{ JobID string }
	w.read(b, &late)
	x = w.comesTo(late.JobID, "delayed", "waits for its time")
	if wait := x.Due.Sub(x.At.Time); wait < 500*time.Second || wait > 600*time.Second {
		t.Errorf("it is due in %s", wait)
	}
	tells(t, x, contract.FromSQS, "1 delayed")
	w.do(http.MethodDelete, "/jobs/"+late.JobID, "")
	w.comesTo(late.JobID, "cancelled", "before anything began")

	w.do(http.MethodDelete, "/jobs/"+first, "")
	w.comesTo(first, "cancelled", "in attempt 1")
	w.comesTo(third, "succeeded")
	stubborn := w.post("stubborn", "{}")
	w.comesTo(stubborn, "running")
	w.do(http.MethodDelete, "/jobs/"+stubborn, "")
	x = w.comesTo(stubborn, "cancelling", "SIGKILL")
	tells(t, x, contract.FromClaim, "asked to stop")
	w.comesTo(stubborn, "cancelled")
}

// A failed attempt says why, and when the next begins: Kubernetes' own back-off, in full.
func TestExplainWhenTheNextAttemptIsDue(t *testing.T) {
	t.Parallel()
	w := explained(t, func(o *optionsOfDev) { o.BackoffScale = 1 })
	x := w.comesTo(w.post("exits", "{}"), "back-off", "Attempt 1 failed", "(AppExit)", "attempt 2 begins in ")
	var ended contract.Time
	for _, a := range x.Attempts {
		ended = a.EndedAt
	}
	if wait := x.Due.Sub(ended.Time); wait < 9*time.Second || wait > 11*time.Second {
		t.Errorf("the second attempt is due %s after the first, want 10 s", wait)
	}
	tells(t, x, contract.FromUnit, "1 pod in a row failed; the next is made in ")
	next := until(w, "the second attempt's back-off", func() contract.Explanation { return w.explain(x.JobID) }, func(x contract.Explanation) bool {
		return x.Situation == "back-off" && x.Attempt == 2
	})
	if late := next.Attempts[1].StartedAt.Sub(x.Due.Time); late < -time.Second || late > 5*time.Second {
		t.Errorf("the second attempt began %s after it was due", late)
	}
	if wait := next.Due.Sub(next.Attempts[1].EndedAt.Time); wait < 19*time.Second || wait > 21*time.Second {
		t.Errorf("the third attempt is due %s after the second, want 20 s", wait)
	}
}

// With KEDA told to pause, SQS's own side of things: paused, away, poisoned, purged, gone.
func TestExplainAQueueThatIsNotServed(t *testing.T) {
	t.Parallel()
	faults := sqslocal.NewFaults(1)
	w := explained(t, func(o *optionsOfDev) { o.Paused, o.Faults = true, faults })
	url := w.Queues[contract.DefaultQueue]
	sqs := func(op string, in map[string]any) map[string]any {
		t.Helper()
		in["QueueUrl"] = url
		out, err := askSQS(t.Context(), w.SQS, op, in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	poisoned := w.post("process-data", quick)
	x := w.comesTo(poisoned, "paused", "is paused by its annotation")
	tells(t, x, contract.FromKEDA, "paused")
	for range 6 { // one more than a message may be received without a claim
		sqs("ReceiveMessage", map[string]any{"VisibilityTimeout": 0, "MaxNumberOfMessages": 10})
	}
	back := faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Operation: "SendMessageBatch", Share: 1})
	accepted := w.post("process-data", quick)
	x = w.comesTo(accepted, "accepted", "SQS has not taken its task yet", "the scheduler sends it in ")
	if wait := x.Due.Sub(x.At.Time); wait > 30*time.Second || wait < 10*time.Second {
		t.Errorf("it is sent in %s", wait)
	}
	back()
	back = faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	x = w.comesTo(accepted, "sqs-away", "SQS does not answer")
	silent := 0
	for _, e := range x.Evidence {
		if e.Silent && e.Source == contract.FromSQS {
			silent++
		}
	}
	if silent != 1 {
		t.Errorf("%+v", x.Evidence)
	}
	back()
	w.comesTo(poisoned, "failed-claim-error", "no pod could claim it", "before its first attempt")
	w.comesTo(accepted, "paused")
	sqs("DeleteQueue", map[string]any{})
	x = w.comesTo(accepted, "queue-missing", "SQS has no queue")
	if len(x.Next) == 0 || !strings.Contains(x.Next[0], url) {
		t.Errorf("%q", x.Next)
	}
}

// A processor that cannot claim: which pods fail, how often, when the next is made, and where to read why.
func TestExplainAClaimThatFails(t *testing.T) {
	t.Parallel()
	w := explained(t, func(o *optionsOfDev) {
		o.Processor, o.BackoffScale = filepath.Join(t.TempDir(), "processor"), 1
		if err := os.WriteFile(o.Processor, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	})
	x := w.comesTo(w.post("process-data", quick), "claim-failing", "end before they claim a message", "the next is made in ")
	if len(x.Next) == 0 || !strings.Contains(x.Next[0], "-c claim") || x.Due.IsZero() {
		t.Errorf("%+v", x)
	}
}

// The command says it to people, and to programs with -o json.
func TestTallymanExplain(t *testing.T) {
	t.Parallel()
	w := explained(t, nil)
	id := w.post("exits", "{}")
	w.ended(id)
	got := tallyman(t, "explain", id, "--server", w.API)
	if got.code != 0 || got.err != "" || !strings.HasPrefix(got.out, "The job failed ") ||
		!strings.Contains(got.out, "\n→ Run it again: `tallyman requeue "+id+"`.\n") ||
		!strings.Contains(got.out, "\nrun 1, attempt 3: failed (AppExit), exit code 3") || strings.Count(got.out, "\n    last words\n") != 3 {
		t.Errorf("%+v", got)
	}
	got = tallyman(t, "explain", id, "-o", "json", "--server", w.API)
	if all := values(t, got.out); got.code != 0 || len(all) != 1 || all[0]["situation"] != "failed-app-exit" {
		t.Errorf("%+v", got)
	}
	got = tallyman(t, "explain", "01a1ff4d-6889-73f0-a332-cb468c3a35f7", "--server", w.API)
	if got.code != 2 || !oneLine(got.err, "404") {
		t.Errorf("%+v", got)
	}
}
