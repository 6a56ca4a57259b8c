package bridge

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"tallyman/contract"
)

var propertyNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// anyView draws a unit in any state at all, also in those that no Kubernetes has shown us yet.
func anyView(t *rapid.T) View {
	v := View{
		Now: propertyNow, Cluster: "c", Namespace: "n", Name: "job", UID: "unit", Queue: "q",
		Gone: rapid.Bool().Draw(t, "gone"),
	}
	if !v.Gone {
		v.Job = anyJob(t)
	}
	pods := rapid.IntRange(0, 4).Draw(t, "pods")
	for i := range pods {
		v.Pods = append(v.Pods, anyPod(t, i))
	}
	if rapid.IntRange(0, 9).Draw(t, "claim?") > 0 {
		v.Claim = anyClaim(t)
	}
	v.Run = rapid.SampledFrom([]*contract.RunRecord{
		nil, {Owner: "unit"}, {Owner: "another"}, {Tombstone: true, Outcome: contract.OutcomeCancelled, At: contract.At(propertyNow)},
	}).Draw(t, "run")
	return v
}

func anyJob(t *rapid.T) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job", UID: "unit"}}
	for _, kind := range rapid.SampledFrom([][]batchv1.JobConditionType{
		nil, {batchv1.JobFailureTarget}, {batchv1.JobFailureTarget, batchv1.JobFailed}, {batchv1.JobFailed},
		{batchv1.JobSuccessCriteriaMet}, {batchv1.JobSuccessCriteriaMet, batchv1.JobComplete}, {batchv1.JobComplete},
	}).Draw(t, "conditions") {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Time{Time: propertyNow.Add(-time.Minute)},
			Reason: rapid.SampledFrom([]string{"BackoffLimitExceeded", "PodFailurePolicy", "DeadlineExceeded", ""}).Draw(t, "reason"),
		})
	}
	return j
}

func anyState(t *rapid.T, name string) corev1.ContainerState {
	at := metav1.Time{Time: propertyNow.Add(-time.Duration(rapid.IntRange(0, 7200).Draw(t, name+" at")) * time.Second)}
	switch rapid.IntRange(0, 3).Draw(t, name) {
	case 0:
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: rapid.SampledFrom([]string{"PodInitializing", "ImagePullBackOff", "CreateContainerConfigError", ""}).Draw(t, name+" waits"),
		}}
	case 1:
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}
	case 2:
		return corev1.ContainerState{}
	}
	outcome := rapid.SampledFrom([]string{"succeeded", "failed", "attempt-failed", "none", "?"}).Draw(t, name+" outcome")
	attempt := rapid.IntRange(0, 4).Draw(t, name+" attempt")
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: rapid.SampledFrom([]int32{0, 1, 65, 75, 86, 101, 124, 137, 143, 255, -1}).Draw(t, name+" exit"),
		Reason:   rapid.SampledFrom([]string{"Completed", "Error", "OOMKilled", "StartError", "ContainerStatusUnknown", ""}).Draw(t, name+" reason"),
		Message: rapid.SampledFrom([]string{"", "panic: \x00 \xff", "{", fmt.Sprintf(
			`{"v":1,"unit":"unit","jobId":"%s","run":1,"attempt":%d,"outcome":"%s","durationMs":5}`, jobOfProperty, attempt, outcome)}).Draw(t, name+" message"),
		StartedAt: at, FinishedAt: at,
	}}
}

const jobOfProperty = "01990b5e-4a30-7cc1-8a52-0d6a1f6d2b7e"

func podOfProperty(i int) string { return fmt.Sprintf("pod-%d", i) }

func anyPod(t *rapid.T, i int) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: podOfProperty(i), UID: types.UID(podOfProperty(i)), CreationTimestamp: metav1.Time{Time: propertyNow.Add(-time.Hour)}},
		Status: corev1.PodStatus{
			Phase:  rapid.SampledFrom([]corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown}).Draw(t, "phase"),
			Reason: rapid.SampledFrom([]string{"", "Evicted", "NodeLost", "OutOfcpu", "Strange"}).Draw(t, "pod reason"),
			InitContainerStatuses: []corev1.ContainerStatus{
				{Name: "install", State: anyState(t, "install")}, {Name: contract.ContainerClaim, State: anyState(t, "claim")},
			},
			ContainerStatuses: []corev1.ContainerStatus{{Name: contract.ContainerRun, State: anyState(t, "run")}},
		},
	}
	if rapid.Bool().Draw(t, "deleted") {
		at := metav1.Time{Time: propertyNow.Add(-time.Duration(rapid.IntRange(-30, 3600).Draw(t, "deleted at")) * time.Second)}
		p.DeletionTimestamp = &at
	}
	if rapid.Bool().Draw(t, "disrupted") {
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: rapid.SampledFrom([]string{"EvictionByEvictionAPI", "PreemptionByScheduler", "DeletionByTaintManager", "TerminationByKubelet", "Strange"}).Draw(t, "disruption"),
		}}
	}
	return p
}

func anyClaim(t *rapid.T) *contract.UnitRecord {
	u := &contract.UnitRecord{
		State: rapid.SampledFrom([]contract.UnitState{contract.Intent, contract.Owned, contract.Closed}).Draw(t, "state"),
		Unit:  "unit", Queue: "q", JobID: jobOfProperty, Run: 1, Type: "probe", SubmittedAt: contract.At(propertyNow.Add(-2 * time.Hour)),
		Task: []byte("{}"), Cluster: "c", Namespace: "n", Name: "job", CancelRequested: rapid.Bool().Draw(t, "cancel requested"),
	}
	least := 0
	if u.State == contract.Owned {
		least = 1
	}
	if u.State != contract.Intent {
		for i := range rapid.IntRange(least, 4).Draw(t, "attempts") {
			u.Attempts = append(u.Attempts, podOfProperty(i))
		}
	}
	if u.State == contract.Closed {
		u.Outcome = rapid.SampledFrom([]contract.Outcome{contract.OutcomeSucceeded, contract.OutcomeFailed, contract.OutcomeCancelled}).Draw(t, "outcome")
		if len(u.Attempts) == 0 && u.Outcome == contract.OutcomeSucceeded {
			u.Outcome = contract.OutcomeFailed
		}
		u.OutcomeAttempt, u.Reason, u.Said = len(u.Attempts), contract.AppExit, rapid.Bool().Draw(t, "said")
		u.ClosedAt = contract.At(propertyNow.Add(-time.Duration(rapid.IntRange(0, 7200).Draw(t, "closed at")) * time.Second))
	}
	return u
}

// history is what became of a view that was played to its end.
type history struct {
	closed *contract.UnitRecord // what the bridge closed it with, if it did
	said   []contract.Event
	claim  *contract.UnitRecord // at the end
	looks  bool
	later  time.Duration
}

func playOut(t *rapid.T, v View) history {
	var h history
	ids := make(map[string]bool)
	for round := 0; ; round++ {
		if round == 5 {
			t.Fatal("Judge asks for ever")
		}
		verdict := Judge(v)
		if verdict.Look {
			h.looks, v.Gone = true, true // and it turns out to be gone
			continue
		}
		if verdict.Close != nil {
			if v.Claim.State == contract.Closed || verdict.Close.State != contract.Closed || len(verdict.Say) > 0 || verdict.Then != nil {
				t.Fatalf("closing %+v asks for more: %+v", v.Claim, verdict)
			}
			h.closed, v.Claim = verdict.Close, verdict.Close
			continue
		}
		for _, e := range verdict.Say {
			if _, err := e.Encode(); err != nil {
				t.Fatalf("%s cannot be written: %v", e.ID(), err)
			}
			if !ids[e.ID()] {
				h.said = append(h.said, e)
			}
			ids[e.ID()] = true
		}
		h.claim, h.later = v.Claim, verdict.Later
		if verdict.Then == nil {
			return h
		}
		if verdict.Then.Outcome != v.Claim.Outcome || verdict.Then.State != contract.Closed {
			t.Fatalf("a closed record was changed: %+v to %+v", v.Claim, verdict.Then)
		}
		v.Claim = verdict.Then
	}
}

func (h *history) has(kind contract.Kind) (n int) {
	for _, e := range h.said {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// TestJudgeProperties holds, over units in any state, what the books rest on.
func TestJudgeProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := anyView(t)
		before := v.Claim
		h := playOut(t, v)
		if before == nil {
			if len(h.said) != h.has(contract.ClaimFailed) {
				t.Fatalf("a unit without a claim has said %v", h.said)
			}
			return
		}
		checkClosing(t, v, h)
		checkWords(t, v, h)
	})
}

// checkClosing holds when and how a claim may and must be closed.
func checkClosing(t *rapid.T, v View, h history) {
	over := v.Gone || finished(v.Job)
	named := len(v.Claim.Attempts) > 0 || v.Run != nil && v.Run.Owner == "unit"
	open := v.Claim.State != contract.Closed
	if over && open && h.closed == nil {
		t.Fatal("the unit is over and its claim was left open")
	}
	if over && h.claim.State == contract.Closed && !h.claim.Said && (named || v.Run != nil) && h.later == 0 {
		t.Fatal("an outcome was left unsaid, and nobody will look again")
	}
	if h.closed == nil {
		return
	}
	if v.Claim.State == contract.Intent && !named && !over {
		t.Fatal("an intent that nobody owns was closed while its unit may still claim")
	}
	if h.closed.Outcome == contract.OutcomeSucceeded {
		p := v.Pods[podIndex(t, v, h.closed.Attempts[h.closed.OutcomeAttempt-1])]
		run := terminated(p.Status.ContainerStatuses, contract.ContainerRun)
		if w := wordOf(run); run == nil || run.ExitCode != 0 || w == nil || w.Outcome != wordSucceeded || w.Attempt != h.closed.OutcomeAttempt {
			t.Fatal("closed succeeded, and no attempt said so")
		}
	}
	if h.closed.Outcome == contract.OutcomeFailed && v.Claim.CancelRequested {
		t.Fatal("cancel was requested and it was closed failed")
	}
}

func podIndex(t *rapid.T, v View, uid string) int {
	for i, p := range v.Pods {
		if string(p.UID) == uid {
			return i
		}
	}
	t.Fatalf("closed by a pod that is not to be seen: %s", uid)
	return 0
}

// checkWords holds that what is said is what is recorded.
func checkWords(t *rapid.T, v View, h history) {
	ends := h.has(contract.Succeeded) + h.has(contract.Failed) + h.has(contract.CancelledKind)
	if ends > 1 {
		t.Fatalf("%d outcomes were said", ends)
	}
	named := len(h.claim.Attempts) > 0 || v.Run != nil && v.Run.Owner == "unit"
	if ends == 1 && (h.claim.State != contract.Closed || !named) {
		t.Fatal("an outcome was said that is not recorded, or of a run that is another's")
	}
	for _, e := range h.said {
		if e.Kind.Ends() && e.Kind != h.claim.Outcome.Kind() {
			t.Fatalf("%s was said of a claim that is %s", e.Kind, h.claim.Outcome)
		}
		if e.Time.After(v.Now) {
			t.Fatalf("%s is of the future: %s", e.ID(), e.Time)
		}
	}
	newest := len(h.claim.Attempts)
	if h.has(contract.Failed) == 0 || newest == 0 {
		return
	}
	for _, e := range h.said {
		if (e.Kind == contract.AttemptFailed || e.Kind == contract.AttemptDisrupted) && e.Attempt == newest {
			return
		}
	}
	t.Fatal("the run failed, and its newest attempt has no ending")
}
