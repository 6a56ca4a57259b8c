package localkube

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// podThat is a pod whose run ended with a code, perhaps as the target of a disruption.
func podThat(code int32, disrupted bool) *corev1.Pod {
	p := &corev1.Pod{Status: corev1.PodStatus{
		Phase:                 corev1.PodFailed,
		InitContainerStatuses: []corev1.ContainerStatus{{Name: "claim", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}},
		ContainerStatuses:     []corev1.ContainerStatus{{Name: "run", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}},
	}}
	if code == 0 {
		p.Status.Phase = corev1.PodSucceeded
	}
	if disrupted {
		setPodCondition(p, corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "", time.Unix(0, 0))
	}
	return p
}

func TestTally(t *testing.T) {
	t.Parallel()
	limit := int32(contract.BackoffLimit)
	job := &batchv1.Job{Spec: batchv1.JobSpec{BackoffLimit: &limit, PodFailurePolicy: podFailurePolicy()}}
	for name, c := range map[string]struct {
		pods      []*corev1.Pod
		succeeded bool
		counted   int32
		failures  int
		reason    string
	}{
		"none":                      {},
		"one failure":               {pods: []*corev1.Pod{podThat(1, false)}, counted: 1, failures: 1},
		"three failures":            {pods: []*corev1.Pod{podThat(1, false), podThat(101, false), podThat(124, false)}, counted: 3, failures: 3, reason: batchv1.JobReasonBackoffLimitExceeded},
		"disrupted, whatever exit":  {pods: []*corev1.Pod{podThat(65, true), podThat(137, true), podThat(1, true)}, failures: 3},
		"infrastructure":            {pods: []*corev1.Pod{podThat(75, false), podThat(75, false), podThat(75, false), podThat(75, false)}, failures: 4},
		"permanent":                 {pods: []*corev1.Pod{podThat(65, false)}, counted: 1, failures: 1, reason: batchv1.JobReasonPodFailurePolicy},
		"cancelled":                 {pods: []*corev1.Pod{podThat(86, false)}, counted: 1, failures: 1, reason: batchv1.JobReasonPodFailurePolicy},
		"success after two":         {pods: []*corev1.Pod{podThat(1, false), podThat(1, false), podThat(0, false)}, succeeded: true, counted: 2, failures: 2},
		"two failures and one away": {pods: []*corev1.Pod{podThat(1, false), podThat(75, false), podThat(1, false)}, counted: 2, failures: 3},
	} {
		got := tallyOf(job, c.pods)
		if got.succeeded != c.succeeded || got.counted != c.counted || got.failures != c.failures || got.reason != c.reason {
			t.Errorf("%s: %+v, want %+v", name, got, c)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, want := range []time.Duration{
		0, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 10 * time.Minute, 10 * time.Minute,
	} {
		if got := backoff(failures, 1); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
	if got := backoff(1000, 0.01); got != 6*time.Second {
		t.Errorf("scaled: %s, want 6s", got)
	}
}
