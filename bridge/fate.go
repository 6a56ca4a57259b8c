package bridge

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
)

// end is how a pod ended, as far as the books are concerned.
type end int

const (
	alive     end = iota // it may still do something
	passed               // its run exited 0
	failed               // it ended badly, and a retry is spent
	disrupted            // Kubernetes took it away, or exit 75: no retry is spent
	cancelled            // exit 86
)

// stuckAfter is how long a pod may terminate past its grace before it counts as lost with its node. The
// kubelet of a living node needs seconds; one that is unreachable may never answer.
const stuckAfter = 2 * time.Minute

// fate is what became of one pod.
type fate struct {
	pod     *corev1.Pod
	attempt int // 0: the claim does not number it
	end     end
	reason  contract.Reason
	exit    *int
	message string
	at      contract.Time // when it ended
	claimed bool          // its claim container is known to have exited 0, so it has said what it had to
	began   contract.Time // when it did; without it, when the pod ended
	stuck   bool          // it terminates on a node that does not answer
	oom     bool          // its run container was marked OOMKilled, however it exited
	word    *word
}

// fateOf reads a pod. It never looks at the claim but for the number of the attempt.
func (v *View) fateOf(p *corev1.Pod) fate {
	f := fate{pod: p}
	if v.Claim != nil {
		f.attempt = v.Claim.AttemptOf(string(p.UID))
	}
	claim := terminated(p.Status.InitContainerStatuses, contract.ContainerClaim)
	run := terminated(p.Status.ContainerStatuses, contract.ContainerRun)
	f.claimed = claim != nil && claim.ExitCode == 0 || started(p.Status.ContainerStatuses, contract.ContainerRun)
	if claim != nil && claim.ExitCode == 0 {
		f.began = moment(claim.FinishedAt, v.Now)
	}
	f.oom = run != nil && run.Reason == "OOMKilled"
	last := lastState(p, claim, run)
	if last != nil && (last == run || last == claim) { // no other container speaks for the attempt
		f.word = wordOf(last)
	}
	f.stuck = v.stuck(p, run)
	phase := p.Status.Phase
	if run == nil && phase != corev1.PodFailed && phase != corev1.PodSucceeded && !f.stuck {
		return f
	}
	v.endOf(&f, last, run)
	return f
}

// endOf fills in how a dead pod ended.
func (v *View) endOf(f *fate, last, run *corev1.ContainerStateTerminated) {
	p := f.pod
	disruption := podCondition(p, corev1.DisruptionTarget)
	f.at = v.endTime(p, last, disruption)
	if last != nil {
		code := int(last.ExitCode) & 0xff
		f.exit = &code
		f.message = last.Message
		if f.word != nil {
			f.message = f.word.Message
		}
		if code, ok := f.word.exitOf(v.Claim, f.attempt); ok {
			f.exit = &code
		}
	}
	if f.message == "" {
		f.message = p.Status.Message
	}
	switch {
	case run != nil && run.ExitCode == 0:
		f.end = passed
	case run == nil && p.Status.Phase == corev1.PodSucceeded:
		f.end = passed
	case disruption != nil:
		f.end, f.reason = disrupted, disruptionReason(p, disruption)
		if disruption.Message != "" {
			f.message = disruption.Message
		}
	case last != nil && last.ExitCode == exitCancelled:
		f.end = cancelled
	case last != nil && last.ExitCode == exitInfrastructure:
		f.end, f.reason = disrupted, v.failureReason(f, last, run != nil)
	case v.obeyed(f) && terminatedReason(last) == "":
		c := v.Claim
		f.end, f.reason, f.exit, f.message = failed, c.Reason, c.ExitCode, c.Message
	default:
		f.end, f.reason = failed, v.failureReason(f, last, run != nil)
	}
}

// obeyed tells whether the attempt ended because its claim had been closed as failed, and not by a failure of its own: so
// its reason is the claim's, whichever of the two is seen first.
func (v *View) obeyed(f *fate) bool {
	c := v.Claim
	return f.word.speaksOf(c, f.attempt) && f.word.Recorded && f.word.Outcome == wordFailed && f.word.Reason == "" &&
		c.State == contract.Closed && c.Outcome == contract.OutcomeFailed && c.OutcomeAttempt == f.attempt && c.Reason != ""
}

// failureReason finds why a pod ended badly where no DisruptionTarget says it. What the work itself said
// comes before a deletion that came too late to be the cause; the container's end before its exit code.
// A pod that never worked ended in its claim.
func (v *View) failureReason(f *fate, last *corev1.ContainerStateTerminated, worked bool) contract.Reason {
	if f.stuck {
		return contract.NodeLost
	}
	if last != nil {
		if r := terminatedReason(last); r != "" && r != contract.Lost {
			return r
		}
		if f.word.failed() && f.word.Reason != "" {
			return f.word.Reason
		}
	}
	if r := podReason(f.pod.Status.Reason); r != "" {
		return r
	}
	if w := waiting(f.pod); w != nil && last == nil {
		f.message = w.Message
		return waitingReason(w.Reason)
	}
	if v.killed(f.pod, last) {
		return v.killedBy()
	}
	switch {
	case last == nil || last.Reason == "ContainerStatusUnknown":
		return contract.Lost
	case f.word != nil && f.word.Reason != "":
		return f.word.Reason
	case !worked:
		return contract.ClaimError
	}
	return exitReason(int(last.ExitCode))
}

// killed tells whether the pod was deleted while its containers still ran.
func (v *View) killed(p *corev1.Pod, last *corev1.ContainerStateTerminated) bool {
	if p.DeletionTimestamp == nil {
		return false
	}
	if last == nil || last.FinishedAt.IsZero() {
		return true
	}
	asked := p.DeletionTimestamp.Time
	if g := p.DeletionGracePeriodSeconds; g != nil {
		asked = asked.Add(-time.Duration(*g) * time.Second)
	}
	return !last.FinishedAt.Time.Before(asked.Truncate(time.Second))
}

// killedBy is why Kubernetes deleted a pod that nothing else explains.
func (v *View) killedBy() contract.Reason {
	if overDeadline(v.Job) {
		return contract.DeadlineExceeded
	}
	return contract.Deleted
}

// stuck tells whether the pod terminates past its grace and nobody answers.
func (v *View) stuck(p *corev1.Pod, run *corev1.ContainerStateTerminated) bool {
	if run != nil || p.DeletionTimestamp == nil ||
		p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return false
	}
	return v.Now.After(p.DeletionTimestamp.Add(stuckAfter))
}

// endTime is when the pod ended: its container's end, else the disruption, else its deletion, else now.
func (v *View) endTime(p *corev1.Pod, last *corev1.ContainerStateTerminated, disruption *corev1.PodCondition) contract.Time {
	var ts []metav1.Time
	if last != nil {
		ts = append(ts, last.FinishedAt)
	}
	if disruption != nil {
		ts = append(ts, disruption.LastTransitionTime)
	}
	if p.DeletionTimestamp != nil {
		ts = append(ts, *p.DeletionTimestamp)
	}
	for _, t := range ts {
		if m := moment(t, v.Now); !m.IsZero() {
			return m
		}
	}
	return contract.At(v.Now)
}

// lastState is the end of the container that decides the pod's: run, else claim, else whatever else
// ended badly (the init container that installs the processor, a sidecar).
func lastState(p *corev1.Pod, claim, run *corev1.ContainerStateTerminated) *corev1.ContainerStateTerminated {
	if run != nil {
		return run
	}
	if claim != nil && claim.ExitCode != 0 {
		return claim
	}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if t := list[i].State.Terminated; t != nil && t.ExitCode != 0 {
				return t
			}
		}
	}
	return nil
}

func terminated(list []corev1.ContainerStatus, name string) *corev1.ContainerStateTerminated {
	for i := range list {
		if list[i].Name == name {
			return list[i].State.Terminated
		}
	}
	return nil
}

// started tells whether a container has ever run: then every init container before it has exited 0.
func started(list []corev1.ContainerStatus, name string) bool {
	for i := range list {
		if s := &list[i]; s.Name == name {
			return s.State.Running != nil || s.State.Terminated != nil && !s.State.Terminated.StartedAt.IsZero()
		}
	}
	return false
}

// waiting is the first container's wait that has a reason in our set.
func waiting(p *corev1.Pod) *corev1.ContainerStateWaiting {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if w := list[i].State.Waiting; w != nil && waitingReason(w.Reason) != "" {
				return w
			}
		}
	}
	return nil
}

func podCondition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}
