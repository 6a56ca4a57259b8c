package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// accounts are what is known of an install's jobs from three sides: the books, Kubernetes, and the queue.
type accounts struct {
	books stats
	jobs  map[string]job         // by id, as the books have them
	units map[string]batchv1.Job // by UID, as Kubernetes has them
}

// agrees counts an install's jobs from each side and compares: in sum, and for each job its Kubernetes Job, how that
// ended and how many of its pods failed. ids are all jobs that were ever posted, and every one has ended.
func (w *tallyman) agrees(endpoint, queue string, ids []string) {
	w.t.Helper()
	w.Eventually(patience, "SQS holds nothing", func(ctx context.Context) error { return holdsNothing(ctx, endpoint, queue) })
	a := accounts{books: w.stats(), jobs: make(map[string]job, len(ids)), units: map[string]batchv1.Job{}}
	for _, u := range w.allDone(patience) {
		a.units[string(u.UID)] = u
	}
	for _, id := range ids {
		j, err := w.job(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		a.jobs[id] = j
	}
	a.compare(w.t)
}

// verified audits until nothing is under way any more: whatever does not fit then is wrong, and so is what could not be
// looked at.
func (w *tallyman) verified() {
	w.t.Helper()
	var r struct {
		Unaccounted, Pending int
		Unchecked            []string
		Findings             []struct{ Kind, Says string }
	}
	w.Eventually(long, "an audit finds nothing", func(ctx context.Context) error {
		r.Unchecked, r.Findings = nil, nil
		if err := w.ask(ctx, "POST", "/audit", nil, &r); err != nil {
			return err
		}
		if r.Unaccounted+r.Pending+len(r.Unchecked) > 0 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// outcome is how a Kubernetes Job ended, in the words of the books.
func outcome(j *batchv1.Job) string {
	for _, c := range j.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobComplete:
			return "succeeded"
		case c.Type == batchv1.JobFailed:
			return "failed"
		}
	}
	return "unfinished"
}

func (a *accounts) compare(t *testing.T) {
	t.Helper()
	owned, states, failedPods := map[string]string{}, map[string]int{}, 0
	for id, j := range a.jobs {
		unit, err := a.unitOf(&j)
		if err != nil {
			t.Errorf("job %s: %v", id, err)
			continue
		}
		if other := owned[string(unit.UID)]; other != "" {
			t.Errorf("jobs %s and %s both ran in Kubernetes Job %s", id, other, unit.Name)
		}
		owned[string(unit.UID)] = id
		states[j.State]++
		failedPods += int(unit.Status.Failed)
		if got := outcome(unit); got != j.State {
			t.Errorf("job %s is %s, and its Kubernetes Job %s is %s", id, j.State, unit.Name, got)
		}
		if n := j.endings("failed"); n != int(unit.Status.Failed) {
			t.Errorf("job %s has %d failed attempts, and its Kubernetes Job %s %d failed pods: %+v", id, n, unit.Name, unit.Status.Failed, j.Attempts)
		}
		if n := j.endings("succeeded"); n != int(unit.Status.Succeeded) {
			t.Errorf("job %s has %d attempts that succeeded, and its Kubernetes Job %s %d pods: %+v", id, n, unit.Name, unit.Status.Succeeded, j.Attempts)
		}
	}
	s := a.books
	for state, n := range states {
		if s.Jobs[state] != n {
			t.Errorf("the books have %d jobs %s, and Kubernetes %d", s.Jobs[state], state, n)
		}
	}
	if !s.Balanced || s.Jobs["submitted"] != len(a.jobs) || s.SucceedJob != states["succeeded"] || s.FailedJob != failedPods {
		t.Errorf("%d jobs, %v, %d failed pods; the books say %+v", len(a.jobs), states, failedPods, s)
	}
	if idle := len(a.units) - len(owned); idle != s.Units["noop"]+s.Units["duplicate"] {
		t.Errorf("%d Kubernetes Jobs ran no job; the books say %v", idle, s.Units)
	}
}

// unitOf is the one Kubernetes Job of a job: every attempt was made in it.
func (a *accounts) unitOf(j *job) (*batchv1.Job, error) {
	if len(j.Attempts) == 0 {
		return nil, fmt.Errorf("it is %s without an attempt", j.State)
	}
	uid := j.Attempts[0].Unit
	for _, try := range j.Attempts {
		if try.Unit != uid {
			return nil, fmt.Errorf("its attempts were made in the units %s and %s", uid, try.Unit)
		}
	}
	unit, found := a.units[uid]
	if !found {
		return nil, errors.New("Kubernetes has no Job " + uid)
	}
	return &unit, nil
}

// endings counts the attempts that ended so.
func (j *job) endings(ending string) (n int) {
	for _, try := range j.Attempts {
		if try.Ending == ending {
			n++
		}
	}
	return n
}

// allEnd waits until every job has ended, in whatever way, and the books balance.
func (w *tallyman) allEnd(n int, within time.Duration) (s stats) {
	w.t.Helper()
	w.Eventually(within, fmt.Sprintf("all of %d jobs have ended", n), func(ctx context.Context) error {
		s = stats{}
		if err := w.ask(ctx, "GET", "/jobs/stats", nil, &s); err != nil {
			return err
		}
		ended := s.Jobs["succeeded"] + s.Jobs["failed"] + s.Jobs["cancelled"]
		if !s.Balanced || ended != n || s.Jobs["submitted"] != n {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	return s
}
