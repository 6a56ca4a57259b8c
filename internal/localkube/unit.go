package localkube

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// Why a unit's pods are taken away.
var (
	errOverdue  = &stopping{word: "the unit is over its deadline"}
	errDropped  = &stopping{word: "the unit was deleted"}
	errShutdown = &stopping{
		word: "the node shuts down", disruption: "TerminationByKubelet", podReason: "Terminated",
		message: "Pod was terminated in response to imminent node shutdown.",
	}
)

// maxPods bounds one unit: the claim closes a unit at its 33rd attempt, and pods that never came to claim
// may stand between.
const maxPods = 100

// unit is one Kubernetes Job with its pods, and the goroutine that is its controller.
type unit struct {
	kube  *Kube
	queue *Queue

	mu      sync.Mutex
	job     *batchv1.Job
	pods    []*corev1.Pod // in the order they were made
	process *process      // the child that runs now
	pod     string        // UID of the pod that runs now
	stopPod context.CancelCauseFunc
	stop    context.CancelCauseFunc // of the whole unit
	dropped bool                    // somebody wants it gone
	gone    bool                    // it is, and is never written down again
}

func (u *unit) uid() string { return string(u.job.UID) } // never changes

// update changes the unit's objects, writes them down and tells who watches. The change is made even if
// the disk refuses it: the state in memory is the truth while this process lives.
func (u *unit) update(change func()) {
	u.mu.Lock()
	change()
	count(u.job, u.pods)
	var err error
	if !u.gone {
		err = u.kube.save(u)
	}
	u.mu.Unlock()
	if err != nil {
		u.kube.o.Log.Error("a unit could not be written down; after a restart it goes on from an older state",
			"unit", u.uid(), "error", err)
	}
	u.kube.notify(u)
}

// run is the Job controller: one pod after another, never two at a time, until the unit is over.
func (u *unit) run(parent context.Context) {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(parent))
	defer stop(nil)
	defer context.AfterFunc(parent, func() { stop(errShutdown) })()
	u.mu.Lock()
	u.stop = stop
	dropped := u.dropped
	u.mu.Unlock()
	if dropped {
		stop(errDropped)
	}
	defer u.startDeadline(stop)()
	for ctx.Err() == nil {
		if u.settle() || !u.waitBackoff(ctx) {
			break
		}
		if err := u.attempt(ctx); err != nil {
			u.kube.o.Log.Error("a pod could not be made; it is tried again", "unit", u.uid(), "error", err)
			u.pause(ctx, time.Second)
		}
	}
	u.end(context.Cause(ctx))
}

// end says how a unit ended that was stopped, by why it was.
func (u *unit) end(cause error) {
	switch {
	case errors.Is(cause, errDropped):
		u.kube.drop(u)
	case errors.Is(cause, errOverdue):
		u.update(func() { failJob(u.job, batchv1.JobReasonDeadlineExceeded, overdueMessage, u.kube.now()) })
	}
}

const overdueMessage = "Job was active longer than specified deadline"

// startDeadline makes the unit fail when its active deadline is over, first in word, then in deed.
func (u *unit) startDeadline(stop context.CancelCauseFunc) (cancel func()) {
	due := u.job.Status.StartTime.Add(time.Duration(*u.job.Spec.ActiveDeadlineSeconds) * time.Second)
	timer := u.kube.o.Clock.AfterFunc(max(due.Sub(u.kube.now()), 0), func() {
		u.update(func() {
			if !jobOver(u.job) {
				setJobCondition(u.job, batchv1.JobFailureTarget, batchv1.JobReasonDeadlineExceeded, overdueMessage, u.kube.now())
			}
		})
		stop(errOverdue)
	})
	return func() { timer.Stop() }
}

// settle ends the unit if its pods say so.
func (u *unit) settle() bool {
	over := false
	u.mu.Lock()
	t, pods := tallyOf(u.job, u.pods), len(u.pods)
	u.mu.Unlock()
	switch {
	case t.succeeded:
		u.update(func() { completeJob(u.job, u.kube.now()) })
		over = true
	case t.reason != "":
		u.update(func() { setJobCondition(u.job, batchv1.JobFailureTarget, t.reason, t.message, u.kube.now()) })
		u.update(func() { failJob(u.job, t.reason, t.message, u.kube.now()) })
		over = true
	case pods >= maxPods:
		const message = "the unit has had as many pods as one may have"
		u.update(func() { failJob(u.job, batchv1.JobReasonBackoffLimitExceeded, message, u.kube.now()) })
		over = true
	}
	return over
}

// waitBackoff waits out what Kubernetes would wait after the failures so far; false where ctx ended first.
func (u *unit) waitBackoff(ctx context.Context) bool {
	u.mu.Lock()
	t := tallyOf(u.job, u.pods)
	u.mu.Unlock()
	wait := backoff(t.failures, u.kube.o.BackoffScale)
	if !t.last.IsZero() {
		wait -= u.kube.now().Sub(t.last)
	}
	return u.pause(ctx, wait)
}

func (u *unit) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := u.kube.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.Chan():
		return true
	}
}

func (u *unit) isOver() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return jobOver(u.job)
}

// phase tells whether the unit is over, and whether none of its pods has claimed yet.
func (u *unit) phase() (over, waits bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.pods {
		if initialized(p) {
			return jobOver(u.job), false
		}
	}
	return jobOver(u.job), true
}

func (u *unit) podDirs() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var dirs []string
	for _, p := range u.pods {
		dirs = append(dirs, filepath.Join(u.kube.podsDir(), string(p.UID)))
	}
	return dirs
}
