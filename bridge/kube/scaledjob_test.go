package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tallyman/contract"
)

// What KEDA keeps of a ScaledJob is read as it changes, and the template of its pods is not kept.
func TestReadsScaledJobs(t *testing.T) {
	t.Parallel()
	c := newCell(t, true)
	full := scaled("processor-media", "uid-sj", "media")
	full.Object["spec"] = map[string]any{"maxReplicaCount": int64(7), "jobTargetRef": map[string]any{"template": map[string]any{"spec": "large"}}}
	full.Object["status"] = map[string]any{
		"lastActiveTime": "2026-11-21T12:00:00Z",
		"conditions":     []any{map[string]any{"type": "Ready", "status": "False", "reason": "ScaledJobCheckFailed", "message": "no Secret"}},
	}
	c.put(full, scaled("nobodys", "uid-other", ""), scaled("processor-plain", "uid-plain", "plain"))
	k := informers(t, c)
	told(t, k)
	want := []contract.ScaledJob{
		{
			Queue: "media", Namespace: "jobs", Name: "processor-media", Max: 7, LastActive: contract.At(noon.Truncate(24 * time.Hour).Add(12 * time.Hour)),
			Conditions: []contract.Condition{{Type: "Ready", Status: "False", Reason: "ScaledJobCheckFailed", Message: "no Secret"}},
		},
		{Queue: "plain", Namespace: "jobs", Name: "processor-plain", Max: 100},
	}
	until(t, "both to be read", func() bool { return len(k.ScaledJobs()) == 2 })
	if d := cmp.Diff(want, k.ScaledJobs()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, o := range k.mirrors[0].teller.scaledJobs.GetStore().List() {
		if _, kept, _ := unstructured.NestedFieldNoCopy(o.(*unstructured.Unstructured).Object, "spec", "jobTargetRef"); kept {
			t.Error("the template of its pods is kept")
		}
	}
	for value, paused := range map[string]bool{"true": true, "false": false} {
		full.SetAnnotations(map[string]string{contract.AnnotationQueue: "media", "autoscaling.keda.sh/paused": value})
		c.put(full)
		until(t, "paused="+value, func() bool { return k.ScaledJobs()[0].Paused == paused })
	}
}
