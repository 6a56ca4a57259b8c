package contract

import "slices"

// Reason says why an attempt or a run ended badly. The set is closed and its order matters: where two
// voices name different reasons for one fact, the earlier in the list wins.
type Reason string

const (
	AppError         Reason = "AppError"         // the work said that no retry mends it: exit 65
	AppExit          Reason = "AppExit"          // the work exited with another code than 0 and 65
	Panic            Reason = "Panic"            // the work panicked (exit 101)
	Timeout          Reason = "Timeout"          // the attempt outlived its timeout (exit 124)
	OOMKilled        Reason = "OOMKilled"        // Kubernetes: the container broke its memory limit
	Evicted          Reason = "Evicted"          // Kubernetes: the pod was evicted
	Preempted        Reason = "Preempted"        // Kubernetes: the pod made room for another
	NodeLost         Reason = "NodeLost"         // Kubernetes: the node stopped answering
	DeadlineExceeded Reason = "DeadlineExceeded" // Kubernetes: activeDeadlineSeconds ran out
	ImagePull        Reason = "ImagePull"        // Kubernetes: an image could not be pulled
	ConfigError      Reason = "ConfigError"      // Kubernetes: a Secret, ConfigMap or volume is missing
	StartError       Reason = "StartError"       // Kubernetes: the container could not be started
	Deleted          Reason = "Deleted"          // Kubernetes: somebody deleted the pod or the Kubernetes Job
	Lost             Reason = "Lost"             // it is gone and nobody can say why
	ClaimError       Reason = "ClaimError"       // no claim could be made, time after time
	Expired          Reason = "Expired"          // it outlived the queue's retention
	Cancelled        Reason = "Cancelled"        // by request
	Unknown          Reason = "Unknown"          // none of these
)

// reasons is never written to.
var reasons = [...]Reason{
	AppError, AppExit, Panic, Timeout, OOMKilled, Evicted, Preempted, NodeLost, DeadlineExceeded,
	ImagePull, ConfigError, StartError, Deleted, Lost, ClaimError, Expired, Cancelled, Unknown,
}

// Reasons lists the closed set in its order.
func Reasons() []Reason { return slices.Clone(reasons[:]) }

// Rank is the reason's place in the closed set, 0 the first; a word outside of the set ranks last.
func (r Reason) Rank() int {
	if i := slices.Index(reasons[:], r); i >= 0 {
		return i
	}
	return len(reasons)
}

// Known tells whether r is of the closed set.
func (r Reason) Known() bool { return r.Rank() < len(reasons) }

// Infrastructure tells whether only Kubernetes can know this reason (OOMKilled to Lost). The bridge's
// word wins for these, the processor's for all others.
func (r Reason) Infrastructure() bool {
	i := r.Rank()
	return i >= OOMKilled.Rank() && i <= Lost.Rank()
}
