package chart

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// scaledJobOf finds a queue's ScaledJob as the bridge does.
func scaledJobOf(t *testing.T, objects []*object, queue string) *kedav1alpha1.ScaledJob {
	t.Helper()
	for _, sj := range all[*kedav1alpha1.ScaledJob](objects) {
		if sj.Annotations[contract.AnnotationQueue] == queue {
			return sj
		}
	}
	t.Fatalf("queue %s has no ScaledJob", queue)
	return nil
}

// What counts runs exactly and loses none, in every set of values: each of these settings has a reason in
// templates/queues.yaml, and another value of it starves messages, starts empty pods or deletes running ones.
func TestScaledJobs(t *testing.T) {
	t.Parallel()
	for _, set := range sets(t) {
		objects := render(t, "helm3", "-f", set)
		scaled := all[*kedav1alpha1.ScaledJob](objects)
		if len(scaled) == 0 {
			t.Errorf("%s: no ScaledJob", set)
		}
		for _, sj := range scaled {
			t.Run(nameOf(set)+"/"+sj.Name, func(t *testing.T) {
				t.Parallel()
				checkSpec(t, sj)
				checkJob(t, sj.Spec.JobTargetRef)
				if len(sj.Name)+1+5 > 63 {
					t.Errorf("with KEDA's letters the Kubernetes Job's name is too long for a label: %s", sj.Name)
				}
				queue := sj.Annotations[contract.AnnotationQueue]
				if queue == "" || sj.Spec.JobTargetRef.Template.Annotations[contract.AnnotationQueue] != queue {
					t.Errorf("the queue is %q, and its pods' %q", queue, sj.Spec.JobTargetRef.Template.Annotations[contract.AnnotationQueue])
				}
			})
		}
	}
}

func checkSpec(t *testing.T, sj *kedav1alpha1.ScaledJob) {
	t.Helper()
	zero := int32(0)
	history := int32(100)
	got := sj.Spec
	want := kedav1alpha1.ScaledJobSpec{
		JobTargetRef: got.JobTargetRef, MaxReplicaCount: got.MaxReplicaCount, PollingInterval: got.PollingInterval, Triggers: got.Triggers,
		MinReplicaCount: &zero, SuccessfulJobsHistoryLimit: &history, FailedJobsHistoryLimit: &history,
		EnvSourceContainerName: contract.ContainerRun,
		Rollout:                kedav1alpha1.Rollout{Strategy: "gradual"},
		ScalingStrategy:        kedav1alpha1.ScalingStrategy{Strategy: "accurate", PendingPodConditions: []string{"Initialized"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.PollingInterval == nil || *got.PollingInterval < 1 || got.MaxReplicaCount == nil || *got.MaxReplicaCount < 1 {
		t.Errorf("polling every %v s for at most %v", got.PollingInterval, got.MaxReplicaCount)
	}
	for _, trigger := range got.Triggers {
		if trigger.Type != "aws-sqs-queue" {
			continue // one of the user's own
		}
		meta := maps.Clone(trigger.Metadata)
		for _, key := range []string{"queueURL", "awsRegion"} {
			if meta[key] == "" {
				t.Errorf("the trigger has no %s", key)
			}
			delete(meta, key)
		}
		delete(meta, "awsEndpoint")
		// KEDA takes the queue's name from a URL of exactly two segments.
		if path := strings.Split(strings.SplitN(trigger.Metadata["queueURL"], "//", 2)[1], "/"); len(path) != 3 {
			t.Errorf("KEDA finds no queue's name in %s", trigger.Metadata["queueURL"])
		}
		if diff := cmp.Diff(map[string]string{
			"queueLength": "1", "activationQueueLength": "0", "scaleOnInFlight": "false", "scaleOnDelayed": "false",
		}, meta); diff != "" {
			t.Errorf("trigger (-want +got):\n%s", diff)
		}
		if trigger.AuthenticationRef == nil || trigger.AuthenticationRef.Name != sj.Name {
			t.Errorf("the trigger asks as %+v", trigger.AuthenticationRef)
		}
	}
}

func checkJob(t *testing.T, job *batchv1.JobSpec) {
	t.Helper()
	one, limit, hour, failed := int32(1), int32(contract.BackoffLimit), int32(3600), batchv1.Failed
	want := &batchv1.JobSpec{
		Template: job.Template, ActiveDeadlineSeconds: job.ActiveDeadlineSeconds,
		Parallelism: &one, Completions: &one, BackoffLimit: &limit, TTLSecondsAfterFinished: &hour, PodReplacementPolicy: &failed,
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}},
			{Action: batchv1.PodFailurePolicyActionIgnore, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{75}}},
			{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{65, 86}}},
		}},
	}
	if diff := cmp.Diff(want, job); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	spec := job.Template.Spec
	if spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("restartPolicy %s", spec.RestartPolicy)
	}
	if n := len(spec.InitContainers); spec.InitContainers[n-1].Name != contract.ContainerClaim || len(spec.Containers) != 1 || spec.Containers[0].Name != contract.ContainerRun {
		t.Errorf("containers %v, %v", spec.InitContainers, spec.Containers)
	}
	var grace int
	for _, e := range spec.Containers[0].Env {
		if e.Name == "TALLYMAN_GRACE_SECONDS" {
			grace, _ = strconv.Atoi(e.Value)
		}
	}
	if grace == 0 || *spec.TerminationGracePeriodSeconds <= int64(grace) {
		t.Errorf("the work has %d s to end, its pod %d", grace, *spec.TerminationGracePeriodSeconds)
	}
}

// The deadline counts the time that a pod waits, so it is three attempts of the longest timeout and an hour.
func TestDeadlineIsThreeTimeoutsAndAnHour(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		set, queue string
		want       time.Duration
	}{
		{"aws", "default", 3*10*time.Minute + time.Hour},
		{"try", "default", 3*time.Hour + time.Hour},
		{"teams", "Video_Encoding", 9 * time.Hour}, // its own word
	} {
		sj := scaledJobOf(t, render(t, "helm3", "-f", "testdata/values/"+row.set+".yaml"), row.queue)
		if got := time.Duration(*sj.Spec.JobTargetRef.ActiveDeadlineSeconds) * time.Second; got != row.want {
			t.Errorf("%s: %s has %s, want %s", row.set, row.queue, got, row.want)
		}
	}
}

// A queue's own image claims by itself: nothing leaves SQS before it has been pulled and its environment is right.
func TestOwnImageClaims(t *testing.T) {
	t.Parallel()
	sj := scaledJobOf(t, render(t, "helm3", "-f", "testdata/values/teams.yaml"), "Video_Encoding")
	if sj.Namespace != "video" {
		t.Errorf("it runs in %s", sj.Namespace)
	}
	spec := sj.Spec.JobTargetRef.Template.Spec
	install, claim, work := spec.InitContainers[0], spec.InitContainers[1], spec.Containers[0]
	if install.Name != "install" || install.Image != "tallyman/processor:0.1.0" || install.Args[0] != "install" {
		t.Errorf("%+v", install)
	}
	const own = "registry.example.com/video/encoder:1.4.2"
	if claim.Image != own || work.Image != own {
		t.Errorf("claim is of %s, run of %s", claim.Image, work.Image)
	}
	claim.Name, claim.Command, claim.Resources = work.Name, work.Command, work.Resources
	if diff := cmp.Diff(work, claim); diff != "" {
		t.Errorf("claim has another environment or other volumes (-run +claim):\n%s", diff)
	}
	if len(work.EnvFrom) != 1 || spec.NodeSelector["workload"] != "video" || len(spec.Tolerations) != 2 {
		t.Errorf("%v, %v, %v", work.EnvFrom, spec.NodeSelector, spec.Tolerations)
	}
	for _, m := range work.VolumeMounts {
		if m.MountPath == "/opt/tallyman" && !m.ReadOnly {
			t.Error("the work may write to the processor")
		}
	}
}

func TestPauseIsAnAnnotation(t *testing.T) {
	t.Parallel()
	for _, sj := range all[*kedav1alpha1.ScaledJob](render(t, "helm3", "-f", "testdata/values/teams.yaml")) {
		paused := sj.Annotations["autoscaling.keda.sh/paused"]
		if (sj.Namespace == "reports") != (paused == "true") {
			t.Errorf("%s: paused %q", sj.Name, paused)
		}
	}
}
