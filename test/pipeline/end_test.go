package pipeline

import (
	"net/http"
	"testing"
	"time"

	"tallyman/contract"
)

// An attempt that takes too long is stopped and counts as failed; the third ends the job.
func TestAJobOverItsTimeoutFailsAfterThreeAttempts(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	status, b := w.do(http.MethodPost, "/jobs", `{"type":"probe","timeoutSeconds":1,"payload":{"target":"127.0.0.1","duration":"600"}}`)
	if status != http.StatusAccepted {
		t.Fatalf("%d %s", status, b)
	}
	var r struct{ JobID string }
	w.read(b, &r)
	j := w.ended(r.JobID)
	if j.State != contract.StateFailed || j.Reason != contract.Timeout || len(j.Attempts) != 3 {
		t.Fatalf("%+v", j)
	}
	for i, a := range j.Attempts {
		took := a.EndedAt.Sub(a.StartedAt.Time)
		if a.Ending != contract.EndingFailed || a.Reason != contract.Timeout || a.ExitCode == nil || *a.ExitCode != 124 || took < time.Second {
			t.Errorf("attempt %d: %+v", i+1, a)
		}
	}
	s := w.atRest(1)
	if s.Failures[contract.Timeout] != 3 || s.FailedJob != 3 || s.JobRetry != 2 {
		t.Errorf("%+v", s)
	}
}

// A job that is cancelled before anybody took it never runs, whatever its message does later.
func TestAQueuedJobIsCancelled(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	status, b := w.do(http.MethodPost, "/jobs", `{"type":"process-data","delaySeconds":2,"payload":`+quick+`}`)
	if status != http.StatusAccepted {
		t.Fatalf("%d %s", status, b)
	}
	var r struct{ JobID string }
	w.read(b, &r)
	status, b = w.do(http.MethodDelete, "/jobs/"+r.JobID, "")
	var answer struct {
		State           contract.State
		CancelRequested bool
	}
	w.read(b, &answer)
	if status != http.StatusAccepted || answer.State != contract.StateCancelled || answer.CancelRequested {
		t.Fatalf("%d %s", status, b)
	}
	if j := w.ended(r.JobID); j.State != contract.StateCancelled || len(j.Attempts) != 0 {
		t.Errorf("%+v", j)
	}
	// The message comes all the same, is dropped by a pod that then finds no other, and nothing of it is left.
	s := until(w, "the message to be dropped", w.stats, func(s contract.Stats) bool { return s.Units.Noop > 0 })
	w.balanced(s)
	if visible, inFlight, delayed := w.counts(w.Queues[contract.DefaultQueue]); visible+inFlight+delayed != 0 {
		t.Errorf("left on the queue: %d visible, %d in flight, %d delayed", visible, inFlight, delayed)
	}
	if j := w.get(r.JobID); j.State != contract.StateCancelled || len(j.Attempts) != 0 || s.Jobs.Cancelled != 1 {
		t.Errorf("%+v, %+v", j, s.Jobs)
	}
}
