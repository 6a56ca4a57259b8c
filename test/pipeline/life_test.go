package pipeline

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tallyman/contract"
)

// One success and one job that fails three times: the original's own example, [A2].
func TestTheOriginalsArithmetic(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	good := w.post("process-data", `{"records":100,"pauseMs":0,"failureRate":0}`)
	bad := w.post("process-data", `{"records":100,"pauseMs":0,"failureRate":1}`)
	if j := w.ended(good); j.State != contract.StateSucceeded || len(j.Attempts) != 1 {
		t.Errorf("%+v", j)
	}
	j := w.ended(bad)
	if j.State != contract.StateFailed || j.Reason != contract.Panic || len(j.Attempts) != 3 {
		t.Errorf("%+v", j)
	}
	for i, a := range j.Attempts {
		if a.Attempt != i+1 || a.Ending != contract.EndingFailed || a.ExitCode == nil || *a.ExitCode != 101 ||
			!strings.Contains(a.Tail, "Encountered error 1") {
			t.Errorf("attempt %d: %+v", i+1, a)
		}
	}
	w.atRest(2)
	_, b := w.do(http.MethodGet, "/jobs/stats", "")
	if want := `{"succeedJob":1,"jobRetry":2,"failedJob":3,`; !strings.HasPrefix(string(b), want) {
		t.Errorf("got %.80s, want %s…", b, want)
	}
}

// A first attempt that fails, a second that succeeds: 20 jobs, each its own second attempt, [E8].
func TestEachRetryHandlesItsOwnTask(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const n = 20
	ids := make(map[string]bool)
	for range n {
		ids[w.post("process-data", `{"records":100,"pauseMs":0,"failureRate":0,"failAttempts":1}`)] = true
	}
	s := w.atRest(n)
	for id := range ids {
		if j := w.get(id); j.State != contract.StateSucceeded || len(j.Attempts) != 2 ||
			j.Attempts[0].Unit != j.Attempts[1].Unit {
			t.Errorf("%+v", j)
		}
	}
	if len(ids) != n || s.SucceedJob != n || s.JobRetry != n || s.FailedJob != n {
		t.Errorf("%d ids, %+v", len(ids), s)
	}
}

func TestAPermanentFailureIsNotRetried(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	j := w.ended(w.post("store-event", `{"cust_id":1,"event_type":"sale_event"}`))
	if j.State != contract.StateFailed || j.Reason != contract.AppError || len(j.Attempts) != 1 {
		t.Errorf("%+v", j)
	}
	if !strings.Contains(j.Attempts[0].Message, "store_id") {
		t.Errorf("the message does not say what was wrong: %q", j.Attempts[0].Message)
	}
	s := w.atRest(1)
	if s.FailedJob != 1 || s.JobRetry != 0 {
		t.Errorf("%+v", s)
	}
}

// A message sent past the api is a job, its id derived from the MessageId, [B2].
func TestAForeignMessageIsAJob(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := contract.ForeignID(contract.DefaultQueue, w.sendRaw(`{"target": "127.0.0.1", "duration": "1"}`))
	j := until(w, "the foreign job", func() job {
		if status, _ := w.do(http.MethodGet, "/jobs/"+id, ""); status != http.StatusOK {
			return job{}
		}
		return w.get(id)
	}, func(j job) bool { return j.State.Ended() })
	if j.State != contract.StateSucceeded || j.Type != "probe" {
		t.Errorf("%+v", j)
	}
	w.atRest(1)
}

func TestARunningJobIsCancelled(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.post("probe", `{"target":"127.0.0.1","duration":"600"}`)
	until(w, "the work", func() job { return w.get(id) }, func(j job) bool {
		return len(j.Attempts) == 1 && !j.Attempts[0].StartedAt.IsZero()
	})
	if status, b := w.do(http.MethodDelete, "/jobs/"+id, ""); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, b)
	}
	if j := w.ended(id); j.State != contract.StateCancelled {
		t.Errorf("%+v", j)
	}
	if status, b := w.do(http.MethodDelete, "/jobs/"+id, ""); status != http.StatusConflict {
		t.Errorf("a second time: %d %s", status, b)
	}
	s := w.atRest(1)
	if s.FailedJob != 0 || s.Jobs.Cancelled != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAFailedJobIsRequeuedOnceAsItsNextRun(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	id := w.post("process-data", `{"records":10,"pauseMs":0,"failureRate":0,"failAttempts":3}`)
	if j := w.ended(id); j.State != contract.StateFailed {
		t.Fatalf("%+v", j)
	}
	for range 2 { // a repeat of the same requeue makes no second run
		if status, b := w.do(http.MethodPost, "/jobs/"+id+"/requeue", `{"run":1}`); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, b)
		}
	}
	j := until(w, "the second run", func() job { return w.get(id) }, func(j job) bool { return j.Run == 2 && j.State.Ended() })
	if j.Run != 2 || j.State != contract.StateFailed || len(j.Attempts) != 6 {
		t.Errorf("%+v", j)
	}
	w.atRest(1)
}

func TestRealRecordsAreProfiled(t *testing.T) {
	t.Parallel()
	var files string
	w := start(t, func(o *optionsOfDev) { files = o.Files })
	writeFile(t, files, "orders.csv", "id,price\n1,2.5\n2,\nx,7.5\n")
	j := w.ended(w.post("process-data", `{"source":"orders.csv"}`))
	if j.State != contract.StateSucceeded {
		t.Fatalf("%+v", j)
	}
	var profile struct{ Rows int }
	w.read(j.Result, &profile)
	if profile.Rows != 3 {
		t.Errorf("%s", j.Result)
	}
	if j := w.ended(w.post("process-data", `{"source":"../secret.csv"}`)); j.State != contract.StateFailed {
		t.Errorf("a path outside of the allowed folder: %+v", j)
	}
}

// 100 jobs at once are all done, and the books are exact, [L8] [C6].
func TestABurstIsCountedExactly(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const n = 100
	posts := make([]string, n)
	for i := range posts {
		posts[i] = fmt.Sprintf(`{"type":"process-data","payload":{"records":10,"pauseMs":0,"failureRate":0,"failAttempts":%d}}`, i%2)
	}
	if status, b := w.do(http.MethodPost, "/jobs/batch", "["+strings.Join(posts, ",")+"]"); status != http.StatusOK {
		t.Fatalf("%d %s", status, b)
	}
	s := w.atRest(n)
	if s.SucceedJob != n || s.FailedJob != n/2 || s.JobRetry != n/2 || s.Attempts.Total != n+n/2 {
		t.Errorf("%+v", s)
	}
}
