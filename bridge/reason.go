package bridge

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// Exit codes of the processor that mean something beyond "failed"; its README has the table.
const (
	exitPermanent      = 65
	exitInfrastructure = 75
	exitCancelled      = 86
	exitPanic          = 101
	exitTimeout        = 124
)

// disruptionReason maps the reason of a DisruptionTarget condition. The kubelet uses one word for
// eviction, node shutdown and preemption, and tells them apart in the pod's own reason.
func disruptionReason(p *corev1.Pod, c *corev1.PodCondition) contract.Reason {
	switch c.Reason {
	case "PreemptionByScheduler", "PreemptionByKubeScheduler": // the latter until 1.26
		return contract.Preempted
	case "DeletionByTaintManager", "DeletionByPodGC":
		return contract.NodeLost
	case "TerminationByKubelet":
		if r := podReason(p.Status.Reason); r != "" {
			return r
		}
	}
	return contract.Evicted // EvictionByEvictionAPI, and whatever is to come
}

// podReason maps a pod's own status.reason, "" where it says nothing that we know.
func podReason(s string) contract.Reason {
	switch s {
	case "Evicted":
		return contract.Evicted
	case "Preempting":
		return contract.Preempted
	case "NodeLost", "Terminated", "NodeShutdown", "Shutdown":
		return contract.NodeLost
	case "DeadlineExceeded":
		return contract.DeadlineExceeded
	case "NodeAffinity", "UnexpectedAdmissionError", "AppArmor", "PodOSNotSupported":
		return contract.StartError
	}
	if strings.HasPrefix(s, "OutOf") { // OutOfcpu, OutOfmemory, OutOfpods: the kubelet would not admit it
		return contract.StartError
	}
	return ""
}

// terminatedReason maps what the kubelet says of a terminated container, "" where the exit code says more.
func terminatedReason(t *corev1.ContainerStateTerminated) contract.Reason {
	switch t.Reason {
	case "OOMKilled":
		return contract.OOMKilled
	case "StartError", "ContainerCannotRun", "RunContainerError":
		return contract.StartError
	case "DeadlineExceeded":
		return contract.DeadlineExceeded
	case "ContainerStatusUnknown": // the kubelet came back and the container was no more
		return contract.Lost
	}
	return ""
}

// waitingReason maps what keeps a container from starting, "" for an ordinary wait. A first ErrImagePull
// is ordinary: the kubelet tries again at once, and says ImagePullBackOff when it was not chance.
func waitingReason(s string) contract.Reason {
	switch s {
	case "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
		"RegistryUnavailable", "SignatureValidationFailed":
		return contract.ImagePull
	case "CreateContainerConfigError":
		return contract.ConfigError
	case "CreateContainerError", "RunContainerError", "CrashLoopBackOff":
		return contract.StartError
	}
	return ""
}

// exitReason maps an exit code of the processor.
func exitReason(code int) contract.Reason {
	switch code {
	case exitPermanent:
		return contract.AppError
	case exitPanic:
		return contract.Panic
	case exitTimeout:
		return contract.Timeout
	case exitInfrastructure:
		return contract.Unknown
	}
	return contract.AppExit
}
