package bridge

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
)

func asking(cpu, memory string) corev1.Container {
	return corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}}}
}

func TestWhatAUnitKeepsFromOthers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	template := corev1.PodSpec{Containers: []corev1.Container{asking("250m", "512Mi"), asking("1", "1Gi"), {}}}
	v := View{Now: now, Job: &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-time.Minute))},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: template}},
	}}
	larger := template
	larger.InitContainers = []corev1.Container{asking("3", "64Mi"), asking("1", "4Gi")}
	larger.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("2Mi")}
	huge := corev1.PodSpec{Containers: []corev1.Container{asking("1e12", "1e18")}}
	for _, c := range []struct {
		name            string
		pod             *corev1.PodSpec
		millicores, mib int
	}{
		{"its template, where no pod is seen", nil, 1250, 1536},
		{"its pod", &larger, 3010, 4098},
		{"nothing", &corev1.PodSpec{}, 0, 0},
		{"more than there is", &huge, contract.MaxRequest, contract.MaxRequest},
	} {
		var e contract.Event
		var f *fate
		if c.pod != nil {
			f = &fate{pod: &corev1.Pod{Spec: *c.pod}}
		}
		v.ofUnit(&e, f)
		if e.Millicores != c.millicores || e.MiB != c.mib || e.MadeAt.String() != "2026-11-21T15:59:00.999Z" {
			t.Errorf("%s: %dm %dMi made %s", c.name, e.Millicores, e.MiB, e.MadeAt)
		}
	}
	var e contract.Event
	if (&View{Now: now}).ofUnit(&e, nil); !e.MadeAt.IsZero() {
		t.Error("it was made, though it was not seen")
	}
}
