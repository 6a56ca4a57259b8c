package localkube

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tallyman/contract"
)

// podSpec names the two containers; what they are made of is this machine.
func (k *Kube) podSpec() corev1.PodSpec {
	grace := int64(k.o.Grace / time.Second)
	return corev1.PodSpec{
		NodeName: k.o.Node, RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &grace,
		InitContainers: []corev1.Container{{Name: contract.ContainerClaim, Image: localImage, Args: []string{"claim"}}},
		Containers:     []corev1.Container{{Name: contract.ContainerRun, Image: localImage, Args: []string{"run"}}},
	}
}

// localImage stands where an image would.
const localImage = "localhost/processor"

// newPod makes a unit's next pod, Pending on its node.
func (k *Kube) newPod(j *batchv1.Job) (*corev1.Pod, error) {
	uid, err := newUID(k.o.Random)
	if err != nil {
		return nil, err
	}
	suffix, err := newSuffix(k.o.Random)
	if err != nil {
		return nil, err
	}
	at, yes := metav1.Time{Time: k.o.Clock.Now()}, true
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: j.Name + "-" + suffix, Namespace: j.Namespace, UID: types.UID(uid), CreationTimestamp: at,
			Labels: j.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "batch/v1", Kind: "Job", Name: j.Name, UID: j.UID, Controller: &yes, BlockOwnerDeletion: &yes,
			}},
		},
		Spec: j.Spec.Template.Spec,
		Status: corev1.PodStatus{
			Phase: corev1.PodPending, StartTime: &at,
			InitContainerStatuses: []corev1.ContainerStatus{{Name: contract.ContainerClaim, Image: localImage, State: waitingFor("PodInitializing")}},
			ContainerStatuses:     []corev1.ContainerStatus{{Name: contract.ContainerRun, Image: localImage, State: waitingFor("PodInitializing")}},
		},
	}
	setPodCondition(p, corev1.PodScheduled, corev1.ConditionTrue, "", "", at.Time)
	setPodCondition(p, corev1.PodInitialized, corev1.ConditionFalse, "ContainersNotInitialized", "containers with incomplete status: [claim]", at.Time)
	setPodCondition(p, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [run]", at.Time)
	return p, nil
}

func waitingFor(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
}

// setPodCondition sets a condition, and its time where it changed.
func setPodCondition(p *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string, now time.Time) {
	c := corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.Time{Time: now}}
	for i := range p.Status.Conditions {
		if old := &p.Status.Conditions[i]; old.Type == kind {
			if old.Status == status {
				c.LastTransitionTime = old.LastTransitionTime
			}
			*old = c
			return
		}
	}
	p.Status.Conditions = append(p.Status.Conditions, c)
}

// containerStatus finds a container's status by name.
func containerStatus(p *corev1.Pod, name string) *corev1.ContainerStatus {
	if name == contract.ContainerClaim {
		return &p.Status.InitContainerStatuses[0]
	}
	return &p.Status.ContainerStatuses[0]
}

// containerStarted says that a container runs. The pod is Initialized once its claim has exited 0.
func containerStarted(p *corev1.Pod, name string, now time.Time) {
	yes := true
	s := containerStatus(p, name)
	s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Time{Time: now}}}
	s.Started = &yes
	if name == contract.ContainerRun {
		s.Ready = true
		p.Status.Phase = corev1.PodRunning
		setPodCondition(p, corev1.PodReady, corev1.ConditionTrue, "", "", now)
	}
}

// containerEnded says how a container ended. A claim that exited 0 makes the pod Initialized.
func containerEnded(p *corev1.Pod, name string, t corev1.ContainerStateTerminated, now time.Time) {
	no := false
	s := containerStatus(p, name)
	s.State, s.Started, s.Ready = corev1.ContainerState{Terminated: &t}, &no, name == contract.ContainerClaim && t.ExitCode == 0
	if s.Ready {
		setPodCondition(p, corev1.PodInitialized, corev1.ConditionTrue, "", "", now)
	}
}

// podEnded says that a pod has ended, by how its containers did.
func podEnded(p *corev1.Pod, now time.Time) {
	run := containerStatus(p, contract.ContainerRun).State.Terminated
	if run != nil && run.ExitCode == 0 {
		p.Status.Phase = corev1.PodSucceeded
		setPodCondition(p, corev1.PodInitialized, corev1.ConditionTrue, "PodCompleted", "", now)
		setPodCondition(p, corev1.PodReady, corev1.ConditionFalse, "PodCompleted", "", now)
		return
	}
	p.Status.Phase = corev1.PodFailed
	setPodCondition(p, corev1.PodReady, corev1.ConditionFalse, "PodFailed", "", now)
}

// stopping is why and how a pod is taken away before its end.
type stopping struct {
	word       string // for people
	disruption string // the reason of its DisruptionTarget; "" where nobody else is to blame
	message    string
	podReason  string // status.reason
}

func (s *stopping) Error() string { return s.word }

// markStopping writes into a pod what Kubernetes writes when it takes it away.
func markStopping(p *corev1.Pod, s *stopping, grace time.Duration, now time.Time) {
	seconds := int64(grace / time.Second)
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{Time: now.Add(grace)}, &seconds
	if s.disruption != "" {
		setPodCondition(p, corev1.DisruptionTarget, corev1.ConditionTrue, s.disruption, s.message, now)
	}
	if s.podReason != "" {
		p.Status.Reason, p.Status.Message = s.podReason, s.message
	}
}

// markLost writes into a pod what Kubernetes writes when its node came back and its containers did not:
// nobody saw them end.
func markLost(p *corev1.Pod, now time.Time) {
	const message = "the program that ran this pod ended without stopping it"
	setPodCondition(p, corev1.DisruptionTarget, corev1.ConditionTrue, "DeletionByPodGC", message, now)
	for _, name := range []string{contract.ContainerClaim, contract.ContainerRun} {
		s := containerStatus(p, name)
		if s.State.Running == nil {
			continue
		}
		containerEnded(p, name, corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "ContainerStatusUnknown", StartedAt: s.State.Running.StartedAt, FinishedAt: metav1.Time{Time: now},
			Message: fmt.Sprintf("The container %s could not be located when the pod was terminated", name),
		}, now)
	}
	podEnded(p, now)
}
