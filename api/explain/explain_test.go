package explain

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// noon is now in all of these tests.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const jobID = "01890a5d-ac96-774b-bcce-b302099a8057"

func ago(d time.Duration) contract.Time { return contract.At(noon.Add(-d)) }

// change makes one more thing true.
type change func(*Facts)

// a job that was queued 10 s ago on a queue of which all is well, and that nobody has claimed.
func wellAndQueued() *Facts {
	return &Facts{
		Now: noon, AcceptedAfter: contract.DefaultAcceptedAfter, QueuedAfter: contract.DefaultQueuedAfter, Config: &contract.Queue{Name: "media", URL: "https://sqs/media", Max: 5, Visibility: contract.DefaultVisibility},
		Job: contract.Job{
			JobID: jobID, Queue: "media", Type: "resize", State: contract.StateQueued, SubmittedAt: ago(10 * time.Second), Run: 1,
			Runs: []contract.JobRun{{Run: 1, SubmittedAt: ago(10 * time.Second), QueuedAt: ago(10 * time.Second)}},
		},
		SQS:    Answer[Counts]{Value: Counts{Visible: 1}, At: noon},
		Ahead:  Answer[Ahead]{At: noon},
		Stream: Answer[Stream]{Value: Stream{Last: 7, AsOf: contract.AsOf{Seq: 7}}, At: noon},
		Claim:  Answer[Claim]{At: noon},
		Sight: Answer[*contract.Sight]{At: noon, Value: &contract.Sight{
			Queue: "media", Cluster: "prod", At: ago(3 * time.Second),
			ScaledJob: &contract.ScaledJob{Queue: "media", Namespace: "jobs", Name: "processor-media", Max: 5, Conditions: []contract.Condition{
				{Type: "Ready", Status: "True", Reason: "ScaledJobReady"},
			}},
		}},
	}
}

func state(s contract.State) change { return func(f *Facts) { f.Job.State = s } }

func emptied(f *Facts) { f.SQS.Value = Counts{} }

// forgotten takes the queue out of the configuration, so that nobody knows where to ask for it.
func forgotten(f *Facts) { f.Config, f.SQS.Fault = nil, errSlow }

// resends gives the scheduler other patiences than the default ones.
func resends(accepted, queued time.Duration) change {
	return func(f *Facts) { f.AcceptedAfter, f.QueuedAfter = accepted, queued }
}

func since(d time.Duration) change {
	return func(f *Facts) { f.Job.Runs[0].SubmittedAt, f.Job.Runs[0].QueuedAt = ago(d), ago(d) }
}

// owned makes unit u the owner, at its first attempt for 20 s.
func owned(f *Facts) {
	f.Job.State, f.Job.Attempt = contract.StateRunning, 1
	f.Job.Runs[0].Attempts = []contract.JobAttempt{{Attempt: 1, ClaimedAt: ago(20 * time.Second), StartedAt: ago(20 * time.Second)}}
	f.Attempts = []contract.AttemptOf{{Run: 1, Attempt: 1, StartedAt: ago(20 * time.Second)}}
	f.Claim.Value = Claim{
		Run: &contract.RunRecord{Owner: "u"}, Unit: &contract.UnitRecord{Unit: "u", Name: "media-u", Run: 1, State: contract.Owned, Attempts: []string{"p"}},
	}
	f.Sight.Value.Units, f.Sight.Value.Claimed = 1, 1
	f.Task.Timeout = time.Hour
}

// again ends the first attempt badly, 4 s ago.
func again(f *Facts) {
	owned(f)
	f.Job.State, f.Job.Reason = contract.StateRetrying, contract.AppExit
	a := &f.Job.Runs[0].Attempts[0]
	a.EndedAt, a.Ending, a.Reason = ago(4*time.Second), contract.EndingFailed, contract.AppExit
	code := 3
	f.Attempts[0] = contract.AttemptOf{Run: 1, Attempt: 1, EndedAt: a.EndedAt, Ending: a.Ending, Reason: a.Reason, ExitCode: &code, Message: "exited with code 3"}
}

// attempts gives the job one attempt for each ending, the last of which ended 4 s ago.
func attempts(endings ...contract.Ending) change {
	return func(f *Facts) {
		again(f)
		was, said := f.Job.Runs[0].Attempts[0], f.Attempts[0]
		f.Job.Attempt, f.Job.Runs[0].Attempts, f.Attempts = len(endings), nil, nil
		for i, e := range endings {
			was.Attempt, was.Ending, said.Attempt, said.Ending = i+1, e, i+1, e
			f.Job.Runs[0].Attempts, f.Attempts = append(f.Job.Runs[0].Attempts, was), append(f.Attempts, said)
		}
	}
}

// ended ends the job with its first attempt.
func ended(s contract.State, r contract.Reason) change {
	return func(f *Facts) {
		again(f)
		f.Job.State, f.Job.Reason, f.Job.Runs[0].EndedAt = s, r, ago(2*time.Minute)
		f.Job.Runs[0].Attempts[0].Reason, f.Attempts[0].Reason, f.Attempts[0].Message = r, r, "the disk was full"
		f.Claim.Value.Unit.State, f.Claim.Value.Unit.Outcome, f.Claim.Value.Unit.Reason = contract.Closed, contract.Outcome(s), r
	}
}

// refused is a task that SQS never took.
func refused(f *Facts) {
	f.Job.Runs[0].QueuedAt, f.Job.Runs[0].Attempts, f.Attempts = contract.Time{}, nil, nil
	f.Message = "SQS does not take the message: InvalidMessageContents: Invalid characters found"
}

// failedBefore makes what the job has been through its first run, and a second one fail that nobody ever claimed.
func failedBefore(r contract.Reason) change {
	return func(f *Facts) {
		f.Job.Runs[0].Outcome, f.Job.Runs[0].Reason = contract.OutcomeFailed, f.Job.Reason
		f.Job.Run, f.Job.Attempt, f.Job.Reason = 2, 0, r
		f.Job.Runs = append(f.Job.Runs, contract.JobRun{
			Run: 2, SubmittedAt: ago(time.Hour), QueuedAt: ago(time.Hour), EndedAt: ago(time.Minute), Outcome: contract.OutcomeFailed, Reason: r,
		})
	}
}

// follows lets another run begin in a while.
func follows(source contract.TaskSource, in time.Duration) change {
	return func(f *Facts) {
		f.FollowUp = &contract.FollowUp{After: 1, Source: source, At: ago(-in), Number: 1, Most: 3}
	}
}

func ahead(n int) change { return func(f *Facts) { f.Ahead.Value.Jobs = n } }

// waiting adds a unit that waits; "u" is the one that may own the run.
func waiting(unit string, w contract.Wait, reason, message string, since time.Duration) change {
	return func(f *Facts) {
		f.Sight.Value.Units = max(1, f.Sight.Value.Units)
		f.Sight.Value.Waiting = append(f.Sight.Value.Waiting, contract.Waiting{
			Unit: unit, Namespace: "jobs", Name: "media-" + unit, Pod: "media-" + unit + "-x", Node: "node-1", For: w, Reason: reason,
			Message: message, Since: ago(since), Claimed: unit == "u", Failures: 2, Due: ago(-9 * time.Second),
		})
	}
}

func said(kind, unit, reason, message string) change {
	return func(f *Facts) {
		f.Said.Value = append(f.Said.Value, contract.Scaling{
			Kind: kind, Name: "x", Unit: unit, Reason: reason, Message: message, Last: ago(time.Second), Component: "k8s",
		})
	}
}

// notReady is a ScaledJob that KEDA is not content with.
func notReady(reason, message string) change {
	return func(f *Facts) {
		f.Sight.Value.ScaledJob.Conditions[0] = contract.Condition{Type: "Ready", Status: "False", Reason: reason, Message: message}
	}
}

func unseen(f *Facts) { f.Sight.Value.At = ago(5 * time.Minute) }

var errSlow = errors.New("none within 2s")

const bad, taken = contract.EndingFailed, contract.EndingDisrupted

// situations is the table: what is true, and what is said of it.
var situations = []struct {
	situation string
	facts     []change
	sentence  string // begins so
	next      string // the first step has this in it; "": there is none
}{
	// What stands before a pod.
	{"queued", nil, "The job is queued, no other is before it, and KEDA makes a pod for it at its next look.", ""},
	{"behind-others", []change{ahead(12)}, `The job is queued behind 12 others; queue "media" runs 0 of at most 5 jobs now`, ""},
	{"at-max", []change{ahead(1), func(f *Facts) { f.Sight.Value.Units = 5 }}, `The job is queued behind 1 other, and queue "media" runs as many jobs as it may, 5 of 5`, "raise `max`"},
	{"claiming", []change{waiting("v", contract.WaitClaim, "", "", time.Second)}, `A pod of queue "media" takes a message at this moment`, ""},
	{"hidden", []change{func(f *Facts) { f.SQS.Value = Counts{InFlight: 1} }}, "The job's message was received and not deleted: a pod claims it now, or died doing so, and then SQS shows it again within 30s.", ""},
	{"delayed", []change{func(f *Facts) { f.Task.NotBefore = noon.Add(90 * time.Second) }}, "The job waits for its time: SQS gives its message out in 90s, at 12:01:30 UTC.", ""},
	{"emptied", []change{since(4 * time.Minute), emptied}, `SQS holds no message of queue "media" any more, so the job's was purged, expired or lost; the scheduler sends it again once the queue has been empty for 5m.`, "who purges"},
	{"emptied", []change{since(4 * time.Minute), emptied, resends(0, 20*time.Minute)}, `SQS holds no message of queue "media" any more, so the job's was purged, expired or lost; the scheduler sends it again once the queue has been empty for 20m.`, "who purges"},
	{"emptied", []change{since(4 * time.Minute), emptied, resends(0, 0)}, `SQS holds no message of queue "media" any more, so the job's was purged, expired or lost; nobody sends it again`, "`tallyman cancel JOB`, then `tallyman requeue JOB`"},
	{"queue-missing", []change{func(f *Facts) { f.SQS.Value.Missing = true }}, `SQS has no queue for "media"`, "the scheduler then sends the job by itself"},
	{"queue-missing", []change{func(f *Facts) { f.SQS.Value.Missing = true }, resends(0, 0)}, `SQS has no queue for "media"`, "nobody sends the job again"},
	{"accepted", []change{state(contract.StateAccepted), resends(2*time.Minute, 0)}, "The job is recorded for good and SQS has not taken its task yet; the scheduler sends it in 110s, at 12:01:50 UTC.", ""},
	{"accepted", []change{state(contract.StateAccepted), resends(time.Hour, 0), since(90 * time.Minute)}, "The job is recorded for good and SQS has not taken its task yet; the scheduler sends it now.", ""},
	{"accepted", []change{state(contract.StateAccepted)}, "The job is recorded for good and SQS has not taken its task yet; the scheduler sends it in 20s, at 12:00:20 UTC.", ""},
	{"accepted", []change{state(contract.StateAccepted), since(5 * time.Minute)}, "The job is recorded for good and SQS has not taken its task yet; the scheduler sends it now.", "scheduler"},
	{"sqs-away", []change{state(contract.StateAccepted), func(f *Facts) { f.SQS.Fault = errSlow }}, "The job is recorded for good and SQS does not answer", "Look after SQS"},
	{"sqs-away", []change{func(f *Facts) { f.SQS.Fault, f.Sight.Value.ScaledJob.Conditions[0].Status = errSlow, "False" }}, "The job's message is on SQS, and SQS does not answer", "Look after SQS"},
	{"queue-unknown", []change{state(contract.StateAccepted), forgotten}, `The job is recorded for good, but the configuration has no queue "media" any more, so its task cannot be sent; it fails (Expired) when it has waited for 4d.`, "Put queue \"media\" back into the configuration of api and scheduler"},
	{"queue-unknown", []change{forgotten, func(f *Facts) { f.Sight.Value.ScaledJob = nil }}, `The job is queued, but the configuration has no queue "media" any more, and no ScaledJob`, "the job goes on by itself"},
	{"queued", []change{forgotten}, "The job is queued, no other is before it, and KEDA makes a pod", ""},                                // whoever makes pods has not forgotten it
	{"queued", []change{func(f *Facts) { f.SQS.Fault = errSlow }}, "The job is queued, no other is before it, and KEDA makes a pod", ""}, // KEDA may ask
	{"queue-missing", []change{func(f *Facts) { f.SQS.Value = Counts{Missing: true} }}, `SQS has no queue for "media"`, "https://sqs/media"},
	{"paused", []change{ahead(3), func(f *Facts) { f.Sight.Value.ScaledJob.Paused = true }}, `Queue "media" is paused by its annotation, so no pod is made for the job, which waits behind 3 others.`, "kubectl -n jobs annotate scaledjob processor-media autoscaling.keda.sh/paused-"},
	{"unserved", []change{func(f *Facts) { f.Sight.Value.ScaledJob = nil }}, `No ScaledJob serves queue "media"`, "helm upgrade"},
	{"keda-not-ready", []change{notReady("TriggerError", "Triggers defined in ScaledJob are not working correctly"), said("ScaledJob", "", "KEDAScalerFailed", "secret \"aws\" not found")},
		`KEDA cannot make pods for queue "media": secret "aws" not found.`, "describe scaledjob processor-media"},
	{"keda-not-ready", []change{notReady("ScaledJobCheckFailed", "Failed to ensure ScaledJob is correctly created"), said("ScaledJob", "", "ScaledJobCheckFailed", "Failed to ensure"),
		said("ScaledJob", "", "KEDAScalerFailed", "secret \"aws\" not found"), said("ScaledJob", "", "ScaledJobCheckFailed", "Failed to ensure")}, // whichever came last
		`KEDA cannot make pods for queue "media": secret "aws" not found.`, "describe scaledjob processor-media"},
	{"keda-not-ready", []change{notReady("ScaledJobCheckFailed", "no such trigger")}, `KEDA cannot make pods for queue "media": no such trigger.`, "describe scaledjob processor-media"},
	{"keda-not-ready", []change{notReady("KEDAJobCreateFailed", "quota"), said("ScaledJob", "", "KEDAScalerFailed", "of an hour ago")}, `KEDA cannot make pods for queue "media": quota.`, "describe"},
	{"bridge-away", []change{unseen, ahead(2)}, `The job is queued behind 2 others, and the bridge last told of queue "media" 5m ago`, "bridge"},
	{"bridge-away", []change{func(f *Facts) { f.Sight.Value = nil }}, `The job is queued, and no bridge has ever told of queue "media"`, "bridge"},

	// A pod that cannot begin: any of the queue while nobody has claimed the job, then its own.
	{"unschedulable", []change{waiting("v", contract.WaitNode, "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.", time.Second)}, `The scheduler finds no node for the pods of queue "media": 0/1 nodes are available: 1 Insufficient cpu.`, "describe pod media-v-x"},
	{"unschedulable", []change{again, waiting("u", contract.WaitNode, "Unschedulable", "", time.Second)}, "The scheduler finds no node for the pod of attempt 2: Unschedulable.", "describe pod media-u-x"},
	{"image-pull", []change{waiting("v", contract.WaitImage, "ImagePullBackOff", "Back-off pulling image \"x\": ErrImagePull: not found", time.Second)}, `The image of the pods of queue "media" cannot be pulled: Back-off pulling image "x": ErrImagePull: not found.`, "Push the image"},
	{"image-pull", []change{owned, waiting("u", contract.WaitImage, "ErrImagePull", "", time.Second), said("Pod", "u", "Failed", "Failed to pull image \"x\": 401")}, `The image of the pod of attempt 1 cannot be pulled: Failed to pull image "x": 401.`, "Push the image"},
	{"missing-config", []change{waiting("v", contract.WaitConfig, "CreateContainerConfigError", "secret \"s\" not found", time.Second)}, `A Secret or ConfigMap of the pods of queue "media" is missing: secret "s" not found.`, "Make what it names"},
	{"missing-volume", []change{waiting("v", contract.WaitCreating, "PodInitializing", "", time.Second), said("Pod", "v", "FailedMount", "MountVolume.SetUp failed")}, `The kubelet cannot prepare the pods of queue "media": MountVolume.SetUp failed.`, "volume"},
	{"cannot-start", []change{waiting("v", contract.WaitStart, "RunContainerError", "no such file", time.Second)}, `A container of the pods of queue "media" cannot be started: no such file.`, "Mend the image"},
	{"pods-refused", []change{func(f *Facts) { waiting("v", contract.WaitPod, "", "", time.Minute)(f) }, said("Job", "v", "FailedCreate", "exceeded quota: small")}, `Kubernetes refuses to make the pods of queue "media": exceeded quota: small.`, "describe job media-v"},
	{"suspended", []change{waiting("v", contract.WaitSuspended, "JobSuspended", "", time.Minute)}, "Kubernetes Job media-v is suspended", "suspend"},
	{"node-silent", []change{owned, waiting("u", contract.WaitSilent, "", "", time.Minute)}, "Node node-1 does not answer since 11:59:00 UTC, so nobody knows what becomes of pod media-u-x", "describe node node-1"},
	{"claim-failing", []change{waiting("v", contract.WaitBackoff, "", "", time.Second)}, `The pods of queue "media" end before they claim a message, 2 times in a row in Kubernetes Job media-v; the next is made in 9s, at 12:00:09 UTC.`, "logs job/media-v -c claim"},
	{"pod-slow", []change{waiting("v", contract.WaitCreating, "ContainerCreating", "", time.Minute)}, `Making the pods of queue "media" takes 60s by now`, "describe pod"},

	// At work.
	{"claimed", []change{owned, state(contract.StateQueued)}, "A pod of Kubernetes Job media-u has claimed the job, and the ledger is about to hear it.", ""},
	{"claimed", []change{owned, state(contract.StateAccepted)}, "A pod of Kubernetes Job media-u has claimed the job", ""}, // a message of a stranger
	{"running", []change{owned, waiting("v", contract.WaitNode, "Unschedulable", "", time.Second), func(f *Facts) { f.Claim.Fault, f.Claim.Value = errSlow, Claim{} }}, "Attempt 1 runs since 20s", "tallyman cancel"},
	{"starting", []change{owned, func(f *Facts) { f.Job.Runs[0].Attempts[0].StartedAt = contract.Time{} }}, "A pod has claimed the job 20s ago, and its work is about to begin as attempt 1.", ""},
	{"running", []change{owned}, "Attempt 1 runs since 20s; it may take 60m.", "tallyman cancel"},
	{"running", []change{owned, func(f *Facts) { f.Progress = &Progress{At: noon, Data: json.RawMessage(`{"done":3,"total":8}`)} }}, "Attempt 1 runs since 20s and is at 3 of 8; it may take 60m.", "tallyman cancel"},
	{"cancelling", []change{owned, func(f *Facts) { f.Claim.Value.Unit.CancelRequested = true }}, "The job was asked to stop", ""},
	{"overdue", []change{owned, func(f *Facts) {
		f.Task.Timeout = 10 * time.Second
		f.Job.Runs[0].Attempts[0].StartedAt = ago(time.Hour)
	}}, "Attempt 1 began 60m ago and may take 10s, so it has ended and nobody has said so.", "bridge"},
	{"unwatched", []change{owned, unseen}, `Attempt 1 runs since 20s; it may take 60m, as far as its processor tells; the bridge last told of queue "media" 5m ago`, "bridge"},
	{"back-off", []change{again, waiting("u", contract.WaitBackoff, "", "", 4*time.Second)}, "Attempt 1 failed 4s ago (AppExit): exited with code 3; attempt 2 begins in 9s, at 12:00:09 UTC.", "tallyman logs"},
	{"retrying", []change{again}, "Attempt 1 failed 4s ago (AppExit): exited with code 3; attempt 2 is about to begin.", "tallyman logs"},
	{"retrying", []change{again, func(f *Facts) {
		f.Job.Runs[0].Attempts[0].Ending, f.Job.Runs[0].Attempts[0].Reason = contract.EndingDisrupted, contract.Evicted
	}}, "Kubernetes took attempt 1 away 4s ago (Evicted), which spends no retry", "tallyman logs"},
	{"retrying", []change{again, waiting("u", contract.WaitBackoff, "", "", time.Minute), func(f *Facts) { f.Sight.Value.At = ago(5 * time.Second) }},
		"Attempt 1 failed 4s ago (AppExit): exited with code 3; attempt 2 follows, and Kubernetes has not told when yet.", "tallyman logs"},
	{"retry-unwatched", []change{again, unseen}, "Attempt 1 failed 4s ago (AppExit): exited with code 3, and the bridge last told", "bridge"},
	{"attempts-spent", []change{attempts(bad, bad, bad)}, "Attempt 3 failed 4s ago (AppExit): exited with code 3; no attempt is left, and the job is about to be failed.", "tallyman logs"},
	{"attempts-spent", []change{attempts(bad, bad, bad), waiting("u", contract.WaitBackoff, "", "", 4*time.Second)}, "Attempt 3 failed 4s ago (AppExit): exited with code 3; no attempt is left", "tallyman logs"},
	{"attempts-spent", []change{attempts(bad, taken, bad, bad)}, "Attempt 4 failed 4s ago (AppExit): exited with code 3; no attempt is left", "tallyman logs"},
	{"attempts-spent", []change{attempts(bad, bad, bad), unseen},
		`Attempt 3 failed 4s ago (AppExit): exited with code 3; no attempt is left, and the job is failed as soon as the bridge says so: the bridge last told of queue "media" 5m ago.`, "bridge"},
	{"attempts-spent", []change{again, func(f *Facts) { f.Job.Runs[0].Attempts[0].Reason = contract.AppError }},
		"Attempt 1 failed 4s ago (AppError): exited with code 3; no attempt is left", "tallyman logs"},
	{"retrying", []change{attempts(bad, taken, bad)}, "Attempt 3 failed 4s ago (AppExit): exited with code 3; attempt 4 is about to begin.", "tallyman logs"},
	{"ended-unsaid", []change{owned, func(f *Facts) {
		f.Claim.Value.Unit.State, f.Claim.Value.Unit.Outcome = contract.Closed, contract.OutcomeSucceeded
	}}, "The run has succeeded, as its claim says", ""},
	{"ledger-behind", []change{func(f *Facts) {
		f.Stream.Value = Stream{Last: 20, AsOf: contract.AsOf{Seq: 7}, Oldest: noon.Add(-time.Minute)}
	}}, "The ledger is 13 events behind, the oldest of them from 60s ago", "aggregator"},
	{"nats-away", []change{func(f *Facts) { f.Claim.Fault, f.Stream.Fault, f.Sight.Fault = errSlow, errSlow, errSlow }}, "NATS does not answer, so nothing newer is known", "NATS"},

	// Ended.
	{"rerun-due", []change{ended(contract.StateFailed, contract.AppExit), follows(contract.FromRerun, 8*time.Minute)}, "The job failed 2m ago because its work ended with exit code 3: the disk was full; run 2 begins by itself in 8m, at 12:08:00 UTC: rerun 1 of at most 3 in a row.", "tallyman requeue"},
	{"rerun-due", []change{ended(contract.StateFailed, contract.Lost), follows(contract.FromRecovery, -2*time.Minute)}, "The job failed 2m ago because it is gone and nobody can say why: the disk was full; run 2 begins by itself now: recovery 1 of at most 3 in a row.", "scheduler"},
	{"succeeded", []change{ended(contract.StateSucceeded, "")}, "The job succeeded 2m ago.", ""},
	{"cancelled", []change{ended(contract.StateCancelled, "")}, "The job was cancelled by request 2m ago, in attempt 1.", "requeue"},
	{"failed-app-error", []change{ended(contract.StateFailed, contract.AppError)}, "The job failed 2m ago because its work said that it cannot be done: the disk was full.", "payload"},
	{"failed-app-exit", []change{ended(contract.StateFailed, contract.AppExit)}, "The job failed 2m ago because its work ended with exit code 3: the disk was full.", "last lines"},
	{"failed-panic", []change{ended(contract.StateFailed, contract.Panic)}, "The job failed 2m ago because its work panicked", "program"},
	{"failed-timeout", []change{ended(contract.StateFailed, contract.Timeout)}, "The job failed 2m ago because its work took longer than it may", "timeoutSeconds"},
	{"failed-oom-killed", []change{ended(contract.StateFailed, contract.OOMKilled)}, "The job failed 2m ago because its work used more memory", "limits.memory"},
	{"failed-evicted", []change{ended(contract.StateFailed, contract.Evicted)}, "The job failed 2m ago because Kubernetes evicted its pod", "node"},
	{"failed-preempted", []change{ended(contract.StateFailed, contract.Preempted)}, "The job failed 2m ago because its pod made room", "priorityClassName"},
	{"failed-node-lost", []change{ended(contract.StateFailed, contract.NodeLost)}, "The job failed 2m ago because its node stopped answering", "node"},
	{"failed-deadline-exceeded", []change{ended(contract.StateFailed, contract.DeadlineExceeded)}, "The job failed 2m ago because its Kubernetes Job was at work longer", "deadline"},
	{"failed-image-pull", []change{ended(contract.StateFailed, contract.ImagePull)}, "The job failed 2m ago because an image", "Push"},
	{"failed-config-error", []change{ended(contract.StateFailed, contract.ConfigError)}, "The job failed 2m ago because a Secret", "Make what"},
	{"failed-start-error", []change{ended(contract.StateFailed, contract.StartError)}, "The job failed 2m ago because a container", "Mend"},
	{"failed-deleted", []change{ended(contract.StateFailed, contract.Deleted)}, "The job failed 2m ago because somebody deleted", "audit log"},
	{"failed-lost", []change{ended(contract.StateFailed, contract.Lost)}, "The job failed 2m ago because it is gone", "node"},
	{"failed-claim-error", []change{ended(contract.StateFailed, contract.ClaimError)}, "The job failed 2m ago because no pod could claim it", "dead-letter"},
	{"failed-claim-error", []change{ended(contract.StateFailed, contract.ClaimError), refused}, "The job failed 2m ago, before its first attempt, because its task could not be put on the queue: SQS does not take the message", "MaximumMessageSize"},
	{"failed-expired", []change{ended(contract.StateFailed, contract.Expired)}, "The job failed 2m ago because it waited longer", "max"},
	{"failed-expired", []change{ended(contract.StateFailed, contract.AppExit), failedBefore(contract.Expired)}, "The job failed 60s ago, before its first attempt, because it waited longer than its queue keeps messages.", "max"},
	{"failed-claim-error", []change{ended(contract.StateFailed, contract.AppExit), failedBefore(contract.ClaimError)}, "The job failed 60s ago, before its first attempt, because no pod could claim it, time after time.", "dead-letter"},
	{"failed-app-exit", []change{ended(contract.StateFailed, contract.AppExit), failedBefore(contract.AppExit)}, "The job failed 60s ago, before its first attempt, because its work ended badly.", "last lines"},
	{"failed", []change{ended(contract.StateFailed, contract.Unknown)}, "The job failed 2m ago for a reason that nobody knows: the disk was full.", "events"},
	{"unknown", []change{state("new")}, "The job is new.", ""},
}

func TestSituations(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, s := range situations {
		f := wellAndQueued()
		for _, c := range s.facts {
			c(f)
		}
		x := Explain(f)
		seen[s.situation] = true
		if x.Situation != s.situation || !strings.HasPrefix(x.Sentence, s.sentence) {
			t.Errorf("%s: %s: %q\nwant %q", s.situation, x.Situation, x.Sentence, s.sentence)
		}
		if len(x.Next) == 0 != (s.next == "") || s.next != "" && !strings.Contains(x.Next[0], s.next) {
			t.Errorf("%s: the next step is %q, want %q", s.situation, x.Next, s.next)
		}
		if !strings.HasSuffix(x.Sentence, ".") || strings.Contains(x.Sentence, "%!") || strings.Contains(x.Sentence, "..") {
			t.Errorf("%s: this is no sentence: %q", s.situation, x.Sentence)
		}
		for _, e := range x.Evidence {
			if e.Says == "" || strings.Contains(e.Says, "%!") || strings.Contains(e.Says, "\n") {
				t.Errorf("%s: %+v", s.situation, e)
			}
		}
	}
	for _, name := range Situations() {
		if !seen[name] {
			t.Errorf("the table has no %s", name)
		}
	}
	if names := Situations(); len(names) < 20 || len(names) != len(seen) {
		t.Errorf("%d situations, %d in the table", len(names), len(seen))
	}
}

// A source that does not answer is a line of the evidence, whatever else is known.
func TestASilentSourceIsEvidence(t *testing.T) {
	t.Parallel()
	f := wellAndQueued()
	f.SQS.Fault, f.Ahead.Fault, f.Sight.Fault, f.Said.Fault, f.Claim.Fault, f.Stream.Fault = errSlow, errSlow, errSlow, errSlow, errSlow, errSlow
	var silent []contract.EvidenceSource
	for _, e := range Explain(f).Evidence {
		if e.Silent {
			silent = append(silent, e.Source)
		}
	}
	want := []contract.EvidenceSource{contract.FromLedger, contract.FromNATS, contract.FromSQS, contract.FromBridge, contract.FromKubernetes, contract.FromClaim}
	if !slices.Equal(silent, want) {
		t.Errorf("silent are %v, want %v", silent, want)
	}
}

// Whatever is missing, there is a sentence: every part of the facts is left out in turn, in every state.
func TestAnyFactMayBeMissing(t *testing.T) {
	t.Parallel()
	for _, s := range append(contract.States(), "") {
		for bits := range 1 << 7 {
			f := wellAndQueued()
			f.Job.State = s
			for i, leave := range []change{
				func(f *Facts) { f.Job.Runs = nil }, func(f *Facts) { f.Config = nil }, func(f *Facts) { f.SQS.Fault = errSlow },
				func(f *Facts) { f.Sight.Value = nil }, func(f *Facts) { f.Sight.Fault = errSlow }, func(f *Facts) { f.Claim.Fault = errSlow },
				func(f *Facts) { f.Claim.Value.Run = &contract.RunRecord{Owner: "u"} },
			} {
				if bits&(1<<i) != 0 {
					leave(f)
				}
			}
			if x := Explain(f); x.Sentence == "" || x.Situation == "" || len(x.Evidence) == 0 {
				t.Fatalf("%s without %b: %+v", s, bits, x)
			}
		}
	}
}

// docs/explain.md has every situation, and no other.
func TestEverySituationIsDocumented(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "<!-- situations -->")
	table, _, _ = strings.Cut(table, "<!-- /situations -->")
	named := make(map[string]bool)
	for line := range strings.Lines(table) {
		words := strings.Split(line, "|")
		if len(words) < 3 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z-]+…?)`").FindAllStringSubmatch(words[1], -1) {
			named[m[1]] = true
		}
	}
	for _, name := range Situations() {
		if strings.HasPrefix(name, "failed-") {
			name = "failed-…"
		}
		if !named[name] {
			t.Errorf("docs/explain.md has no %s", name)
		}
	}
	for name := range named {
		if !slices.Contains(Situations(), name) && name != "failed-…" {
			t.Errorf("docs/explain.md has %s, which is no situation", name)
		}
	}
}
