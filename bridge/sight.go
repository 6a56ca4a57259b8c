package bridge

import (
	"cmp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// Kubernetes' own figures: DefaultJobPodFailureBackOff and MaxJobPodFailureBackOff of its Job controller.
const (
	firstPodBackoff = 10 * time.Second
	maxPodBackoff   = 10 * time.Minute
)

// Unit is a unit's objects.
type Unit struct {
	Job  *batchv1.Job
	Pods []*corev1.Pod
}

// See is what a queue's objects come to. It is pure: the same objects at the same moment give the same
// sight. scaled is nil where there is no ScaledJob; scale is the share of Kubernetes' back-off that is waited.
func See(now time.Time, cluster, queue string, scaled *contract.ScaledJob, units []Unit, scale float64) contract.Sight {
	s := contract.Sight{
		V: contract.SightVersion, Queue: queue, Cluster: cluster, At: contract.At(now), ScaledJob: cutScaledJob(scaled),
	}
	for i := range units {
		if finished(units[i].Job) {
			continue
		}
		s.Units++
		w, waits := waitOf(&units[i], now, scale)
		if w.Claimed {
			s.Claimed++
		}
		if waits {
			s.Waiting = append(s.Waiting, w)
		}
	}
	slices.SortFunc(s.Waiting, func(a, b contract.Waiting) int {
		if a.Claimed != b.Claimed {
			if a.Claimed {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Since.Compare(b.Since.Time), cmp.Compare(a.Unit, b.Unit))
	})
	if s.More = max(0, len(s.Waiting)-contract.MaxSightWaiting); s.More > 0 {
		s.Waiting = s.Waiting[:contract.MaxSightWaiting]
	}
	return s
}

func cutScaledJob(s *contract.ScaledJob) *contract.ScaledJob {
	if s == nil {
		return nil
	}
	cut := *s
	cut.Conditions = nil
	for _, c := range s.Conditions[:min(len(s.Conditions), contract.MaxConditions)] {
		c.Message = contract.CutText(c.Message, contract.MaxSightText)
		cut.Conditions = append(cut.Conditions, c)
	}
	return &cut
}

// waitOf is what a unit waits for; false where its work runs.
func waitOf(u *Unit, now time.Time, scale float64) (w contract.Waiting, waits bool) {
	w = contract.Waiting{
		Unit: string(u.Job.UID), Namespace: u.Job.Namespace, Name: u.Job.Name, Since: contract.At(u.Job.CreationTimestamp.Time),
	}
	var newest *corev1.Pod
	var lastEnd time.Time
	for _, p := range u.Pods {
		w.Claimed = w.Claimed || podCondition(p, corev1.PodInitialized) != nil || started(p.Status.ContainerStatuses, contract.ContainerRun)
		if p.Status.Phase == corev1.PodFailed {
			w.Failures++
			lastEnd = later(lastEnd, endOfPod(p))
			continue
		}
		if newest == nil || p.CreationTimestamp.After(newest.CreationTimestamp.Time) {
			newest = p
		}
	}
	switch c := condition(u.Job, batchv1.JobSuspended); {
	case c != nil:
		become(&w, contract.WaitSuspended, c.Reason, c.Message, c.LastTransitionTime.Time)
		return w, true
	case newest != nil:
		return waitOfPod(w, newest, now)
	case w.Failures > 0:
		become(&w, contract.WaitBackoff, "", "", lastEnd)
		w.Due = contract.At(lastEnd.Add(backoff(w.Failures, scale)))
		return w, true
	}
	w.For = contract.WaitPod
	return w, true
}

// waitOfPod is what a pod that has not failed waits for.
func waitOfPod(w contract.Waiting, p *corev1.Pod, now time.Time) (contract.Waiting, bool) {
	w.Pod, w.Node, w.Since = p.Name, p.Spec.NodeName, contract.At(p.CreationTimestamp.Time)
	ready := statusOf(p, corev1.PodReady)
	switch scheduled := statusOf(p, corev1.PodScheduled); {
	case p.Status.Phase == corev1.PodSucceeded:
		return w, false // the Job controller is about to say so
	case p.DeletionTimestamp != nil && now.After(p.DeletionTimestamp.Time):
		become(&w, contract.WaitSilent, p.Status.Reason, p.Status.Message, p.DeletionTimestamp.Time)
	case p.DeletionTimestamp != nil:
		become(&w, contract.WaitEnd, p.Status.Reason, p.Status.Message, now)
		if d := podCondition(p, corev1.DisruptionTarget); d != nil {
			become(&w, contract.WaitEnd, d.Reason, d.Message, d.LastTransitionTime.Time)
		}
	case scheduled != nil && scheduled.Status == corev1.ConditionFalse:
		become(&w, contract.WaitNode, scheduled.Reason, scheduled.Message, scheduled.LastTransitionTime.Time)
	case p.Status.Phase == corev1.PodRunning && ready != nil && ready.Status == corev1.ConditionFalse && running(p, contract.ContainerRun):
		// Nothing asks our pods whether they are ready: who says that one is not, says it of its node.
		become(&w, contract.WaitSilent, ready.Reason, ready.Message, ready.LastTransitionTime.Time)
	case p.Status.Phase == corev1.PodRunning && running(p, contract.ContainerRun):
		return w, false
	default:
		ofContainers(&w, p)
	}
	return w, true
}

func become(w *contract.Waiting, what contract.Wait, reason, message string, since time.Time) {
	w.For, w.Reason, w.Message = what, reason, contract.CutText(message, contract.MaxSightText)
	if since.Unix() > 0 {
		w.Since = contract.At(since)
	}
}

// ofContainers reads the containers of a pod that is on a node, the first that is not done.
func ofContainers(w *contract.Waiting, p *corev1.Pod) {
	become(w, contract.WaitCreating, "", "", time.Time{})
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			c := &list[i]
			if c.State.Terminated != nil && c.State.Terminated.ExitCode == 0 {
				continue
			}
			w.Container = c.Name
			switch {
			case c.State.Waiting != nil:
				become(w, waitingFor(c.State.Waiting.Reason), c.State.Waiting.Reason, c.State.Waiting.Message, time.Time{})
			case c.State.Running != nil && c.Name == contract.ContainerClaim:
				become(w, contract.WaitClaim, "", "", c.State.Running.StartedAt.Time)
			case c.State.Running != nil:
				become(w, contract.WaitInit, "", "", c.State.Running.StartedAt.Time)
			}
			return
		}
	}
}

// waitingFor sorts what keeps a container from starting.
func waitingFor(reason string) contract.Wait {
	switch waitingReason(reason) {
	case contract.ImagePull:
		return contract.WaitImage
	case contract.ConfigError:
		return contract.WaitConfig
	case contract.StartError:
		return contract.WaitStart
	}
	if reason == "ErrImagePull" { // the first one, which closes no claim yet
		return contract.WaitImage
	}
	return contract.WaitCreating
}

// backoff is how long after its last failure a Kubernetes Job makes its next pod.
func backoff(failures int, scale float64) time.Duration {
	return time.Duration(float64(min(firstPodBackoff<<min(failures-1, 10), maxPodBackoff)) * scale)
}

// endOfPod is when the last container of a pod ended, as the Job controller counts.
func endOfPod(p *corev1.Pod) (last time.Time) {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if t := list[i].State.Terminated; t != nil {
				last = later(last, t.FinishedAt.Time)
			}
		}
	}
	if ready := statusOf(p, corev1.PodReady); last.IsZero() && ready != nil {
		last = ready.LastTransitionTime.Time
	}
	return last
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func running(p *corev1.Pod, name string) bool {
	for i := range p.Status.ContainerStatuses {
		if c := &p.Status.ContainerStatuses[i]; c.Name == name {
			return c.State.Running != nil
		}
	}
	return false
}

// statusOf finds a condition whatever its status.
func statusOf(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == kind {
			return c
		}
	}
	return nil
}
