package localkube

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// Kubernetes' own figures: DefaultJobPodFailureBackOff and MaxJobPodFailureBackOff of its Job controller.
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 10 * time.Minute
)

// tally is what a Kubernetes Job's pods come to.
type tally struct {
	succeeded bool
	counted   int32     // failures that spend a retry
	failures  int       // all failures: each makes the next back-off longer
	last      time.Time // when the newest failure was
	reason    string    // why the Kubernetes Job is bound to fail, "" where it is not
	message   string
}

// tallyOf adds up the pods that have ended, by the Kubernetes Job's own specification.
func tallyOf(j *batchv1.Job, pods []*corev1.Pod) tally {
	var t tally
	for _, p := range pods {
		switch p.Status.Phase {
		case corev1.PodSucceeded:
			t.succeeded = true
		case corev1.PodFailed:
			t.fail(j, p)
		}
	}
	if limit := *j.Spec.BackoffLimit; t.reason == "" && t.counted > limit {
		t.reason, t.message = batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"
	}
	return t
}

func (t *tally) fail(j *batchv1.Job, p *corev1.Pod) {
	t.failures++
	if at := finishedAt(p); at.After(t.last) {
		t.last = at
	}
	action, why := policyFor(j.Spec.PodFailurePolicy, p)
	switch action {
	case batchv1.PodFailurePolicyActionFailJob:
		t.counted++
		if t.reason == "" {
			t.reason, t.message = batchv1.JobReasonPodFailurePolicy, why
		}
	case batchv1.PodFailurePolicyActionIgnore:
	default:
		t.counted++
	}
}

// policyFor finds the first rule that a failed pod matches; a pod that matches none counts.
func policyFor(policy *batchv1.PodFailurePolicy, p *corev1.Pod) (batchv1.PodFailurePolicyAction, string) {
	if policy == nil {
		return batchv1.PodFailurePolicyActionCount, ""
	}
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		if why := matches(rule, p); why != "" {
			return rule.Action, fmt.Sprintf("%s matching %s rule at index %d", why, rule.Action, i)
		}
	}
	return batchv1.PodFailurePolicyActionCount, ""
}

// matches says in Kubernetes' words how a pod matches a rule, "" where it does not.
func matches(rule *batchv1.PodFailurePolicyRule, p *corev1.Pod) string {
	if rule.OnExitCodes != nil {
		for _, s := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
			t := s.State.Terminated
			if t != nil && t.ExitCode != 0 && slices.Contains(rule.OnExitCodes.Values, t.ExitCode) {
				return fmt.Sprintf("Container %s for pod %s/%s failed with exit code %d", s.Name, p.Namespace, p.Name, t.ExitCode)
			}
		}
		return ""
	}
	for _, want := range rule.OnPodConditions {
		for _, c := range p.Status.Conditions {
			if c.Type == want.Type && c.Status == want.Status {
				return fmt.Sprintf("Pod %s/%s has condition %s", p.Namespace, p.Name, c.Type)
			}
		}
	}
	return ""
}

// backoff is how long after its last failure a Kubernetes Job makes its next pod.
func backoff(failures int, scale float64) time.Duration {
	if failures == 0 {
		return 0
	}
	d := min(firstBackoff<<min(failures-1, 10), maxBackoff)
	return time.Duration(float64(d) * scale)
}

// finishedAt is when the last container of a pod ended.
func finishedAt(p *corev1.Pod) time.Time {
	var last time.Time
	for _, s := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
		if t := s.State.Terminated; t != nil && t.FinishedAt.After(last) {
			last = t.FinishedAt.Time
		}
	}
	return last
}

func podOver(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func initialized(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodInitialized {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
