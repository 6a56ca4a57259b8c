package localkube

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

func TestUnitThatSucceeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, `printf '{"v":1}' >"$TALLYMAN_TERMINATION_LOG"`).run()
	j := w.finished(1)[0]
	_, pods := w.only()
	if !jobCondition(j, batchv1.JobSuccessCriteriaMet) || !jobCondition(j, batchv1.JobComplete) || j.Status.CompletionTime == nil {
		t.Errorf("conditions %v, want SuccessCriteriaMet and Complete", j.Status.Conditions)
	}
	if len(pods) != 1 || pods[0].Status.Phase != corev1.PodSucceeded || !initialized(pods[0]) {
		t.Fatalf("pods %+v, want one that succeeded", pods)
	}
	p := pods[0]
	if got := containerStatus(p, contract.ContainerRun).State.Terminated.Message; got != `{"v":1}` {
		t.Errorf("termination message %q", got)
	}
	if p.Labels[contract.LabelUnit] != string(j.UID) || p.Labels[contract.LabelUnitName] != j.Name ||
		j.Labels[contract.LabelScaledJob] != "q" || j.Annotations[contract.AnnotationQueue] != "q" {
		t.Errorf("labels %v and %v", p.Labels, j.Labels)
	}
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, task string
		pods       int
		condition  batchv1.JobConditionType
		reason     string
		failed     int32
	}{
		{"fails for good", "exit 65", 1, batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy, 1},
		{"cancelled", "exit 86", 1, batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy, 1},
		{"fails always", "exit 1", 3, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded, 3},
		{"fails once", "[ $attempt = 2 ] || exit 1", 2, batchv1.JobComplete, batchv1.JobReasonCompletionsReached, 1},
		{"infrastructure fails four times", "[ $attempt = 5 ] || exit 75", 5, batchv1.JobComplete, batchv1.JobReasonCompletionsReached, 0},
		{"killed", "kill -9 $$", 3, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, c.task).run()
			j := w.finished(1)[0]
			_, pods := w.only()
			if len(pods) != c.pods || !jobCondition(j, c.condition) || j.Status.Failed != c.failed {
				t.Errorf("%d pods, status %+v; want %d pods and %s", len(pods), j.Status, c.pods, c.condition)
			}
			for _, cond := range j.Status.Conditions {
				if cond.Reason != c.reason {
					t.Errorf("condition %s has reason %s, want %s", cond.Type, cond.Reason, c.reason)
				}
			}
			for i := 1; i < len(pods); i++ {
				if pods[i].CreationTimestamp.Time.Before(finishedAt(pods[i-1])) {
					t.Errorf("attempt %d began before attempt %d ended", i+1, i)
				}
			}
		})
	}
}

// TestBackoffInTime holds that the second attempt begins 10 s after the first has ended, and the third 20 s
// after the second, by the clock of the objects themselves.
func TestBackoffInTime(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClockAt(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	w := newWorld(t, func(o *Options) { o.Clock, o.BackoffScale = clock, 1 }, "exit 1").run()
	for i, wait := range []time.Duration{10 * time.Second, 20 * time.Second} {
		w.until("an attempt to end", func() bool {
			if len(w.kube.Jobs()) == 0 {
				return false
			}
			_, pods := w.only()
			return len(pods) == i+1 && podOver(pods[i])
		})
		const waiters = 3 // the poll, the deadline, the back-off
		if err := clock.BlockUntilContext(t.Context(), waiters); err != nil {
			t.Fatal(err)
		}
		clock.Advance(wait - time.Millisecond)
		if err := clock.BlockUntilContext(t.Context(), waiters); err != nil {
			t.Fatal(err)
		}
		if _, pods := w.only(); len(pods) != i+1 {
			t.Fatalf("attempt %d began too early", i+2)
		}
		clock.Advance(time.Millisecond)
	}
	w.finished(1)
	_, pods := w.only()
	for i, wait := range []time.Duration{10 * time.Second, 20 * time.Second} {
		if got := pods[i+1].CreationTimestamp.Sub(finishedAt(pods[i])); got != wait {
			t.Errorf("attempt %d began %s after the end of the one before, want %s", i+2, got, wait)
		}
	}
}
