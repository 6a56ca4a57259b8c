package bridge

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// condition finds a condition that is True. Their order says nothing: since 1.31 FailureTarget and
// SuccessCriteriaMet stand before Failed and Complete, before that they are rare or absent.
func condition(j *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	if j == nil {
		return nil
	}
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

func complete(j *batchv1.Job) bool { return condition(j, batchv1.JobComplete) != nil }

func finished(j *batchv1.Job) bool { return complete(j) || condition(j, batchv1.JobFailed) != nil }

// failure is the condition that says that the Kubernetes Job has failed or is bound to: nil where it is not.
func failure(j *batchv1.Job) *batchv1.JobCondition {
	if c := condition(j, batchv1.JobFailed); c != nil {
		return c
	}
	return condition(j, batchv1.JobFailureTarget)
}

func overDeadline(j *batchv1.Job) bool {
	c := failure(j)
	return c != nil && c.Reason == batchv1.JobReasonDeadlineExceeded
}

// finishTime is when a Kubernetes Job became Complete or Failed. completionTime is set on success only.
func finishTime(j *batchv1.Job) metav1.Time {
	for _, kind := range []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed} {
		if c := condition(j, kind); c != nil {
			return c.LastTransitionTime
		}
	}
	return metav1.Time{}
}
