package localkube

import (
	"fmt"
	"io"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tallyman/contract"
)

// newJob makes a Kubernetes Job as KEDA and the API server would from the chart's ScaledJob.
func (k *Kube) newJob(q *Queue) (*batchv1.Job, error) {
	uid, err := newUID(k.o.Random)
	if err != nil {
		return nil, err
	}
	suffix, err := newSuffix(k.o.Random)
	if err != nil {
		return nil, err
	}
	now := metav1.Time{Time: k.o.Clock.Now()}
	name := q.Name + "-" + suffix
	labels := map[string]string{
		contract.LabelScaledJob: q.Name, contract.LabelUnit: uid, contract.LabelUnitName: name,
	}
	limit, one, ttl := int32(contract.BackoffLimit), int32(1), int32(k.o.TTL/time.Second)
	deadline := int64(q.deadline() / time.Second)
	replacement, yes := batchv1.Failed, true
	return &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: k.o.Namespace, UID: types.UID(uid), CreationTimestamp: now, Generation: 1,
			Labels: map[string]string{contract.LabelScaledJob: q.Name}, Annotations: map[string]string{contract.AnnotationQueue: q.Name},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "keda.sh/v1alpha1", Kind: contract.KindScaledJob, Name: q.Name, UID: types.UID(q.Name), Controller: &yes,
			}},
		},
		Spec: batchv1.JobSpec{
			Parallelism: &one, Completions: &one, BackoffLimit: &limit, ActiveDeadlineSeconds: &deadline,
			TTLSecondsAfterFinished: &ttl, PodReplacementPolicy: &replacement, PodFailurePolicy: podFailurePolicy(),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{contract.LabelUnit: uid}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: k.podSpec()},
		},
		Status: batchv1.JobStatus{StartTime: &now, UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{}},
	}, nil
}

// podFailurePolicy is the chart's: what Kubernetes took away and what failed around the work spends no
// retry; what no retry can mend ends the unit.
func podFailurePolicy() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		},
		{
			Action:      batchv1.PodFailurePolicyActionFailJob,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{65, 86}},
		},
		{
			Action:      batchv1.PodFailurePolicyActionIgnore,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{75}},
		},
	}}
}

// jobOver tells whether a Kubernetes Job is Complete or Failed.
func jobOver(j *batchv1.Job) bool {
	return jobCondition(j, batchv1.JobComplete) || jobCondition(j, batchv1.JobFailed)
}

func jobCondition(j *batchv1.Job, kind batchv1.JobConditionType) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func setJobCondition(j *batchv1.Job, kind batchv1.JobConditionType, reason, message string, now time.Time) {
	if jobCondition(j, kind) {
		return
	}
	at := metav1.Time{Time: now}
	j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastProbeTime: at, LastTransitionTime: at,
	})
}

// completeJob says that a Kubernetes Job succeeded: as since 1.31, first that its criteria are met.
func completeJob(j *batchv1.Job, now time.Time) {
	const message = "Reached expected number of succeeded pods"
	setJobCondition(j, batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, message, now)
	setJobCondition(j, batchv1.JobComplete, batchv1.JobReasonCompletionsReached, message, now)
	j.Status.CompletionTime = &metav1.Time{Time: now}
}

// failJob says that a Kubernetes Job failed; it was said before that it is bound to.
func failJob(j *batchv1.Job, reason, message string, now time.Time) {
	setJobCondition(j, batchv1.JobFailureTarget, reason, message, now)
	setJobCondition(j, batchv1.JobFailed, reason, message, now)
}

// jobFinishTime is when a Kubernetes Job became Complete or Failed.
func jobFinishTime(j *batchv1.Job) time.Time {
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// count fills in the numbers of a Kubernetes Job's status.
func count(j *batchv1.Job, pods []*corev1.Pod) {
	t := tallyOf(j, pods)
	j.Status.Active, j.Status.Succeeded, j.Status.Failed = 0, 0, t.counted
	var terminating, ready int32
	for _, p := range pods {
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			j.Status.Succeeded++
		case podOver(p):
		case p.DeletionTimestamp != nil:
			terminating++
		default:
			j.Status.Active++
			if p.Status.Phase == corev1.PodRunning {
				ready++
			}
		}
	}
	j.Status.Terminating, j.Status.Ready = &terminating, &ready
}

// newUID makes a version 4 UUID.
func newUID(random io.Reader) (string, error) {
	var u [16]byte
	if _, err := io.ReadFull(random, u[:]); err != nil {
		return "", fmt.Errorf("make a UID: %w", err)
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}

// newSuffix makes five characters as Kubernetes does for generated names.
func newSuffix(random io.Reader) (string, error) {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	var b [5]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make a name: %w", err)
	}
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:]), nil
}
