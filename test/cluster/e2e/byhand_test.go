package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Somebody who copies one of KEDA's Kubernetes Jobs with kubectl makes one that still names the ScaledJob as its owner;
// the audit names it all the same, and none of KEDA's own.
func TestACopyOfAKubernetesJobIsFound(t *testing.T) {
	t.Parallel()
	w := install(t)
	w.becomes(w.submit(quick()), "succeeded", long)
	of := w.allDone(patience)[0]
	of.APIVersion, of.Kind = "batch/v1", "Job"
	of.ObjectMeta = metav1.ObjectMeta{
		Namespace: of.Namespace, Name: of.Name + "-copy", GenerateName: of.GenerateName,
		Annotations: of.Annotations, OwnerReferences: of.OwnerReferences,
		Labels: map[string]string{"scaledjob.keda.sh/name": of.Labels["scaledjob.keda.sh/name"]},
	}
	of.Spec.Selector, of.Spec.Template.Labels, of.Status.Conditions = nil, nil, nil
	of.Status.StartTime, of.Status.CompletionTime, of.Status.UncountedTerminatedPods = nil, nil, nil
	b, err := json.Marshal(&of)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "copy.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Kubectl("create", "--filename", file)
	var r struct {
		Findings []struct{ Kind, Key, Says string }
	}
	w.Eventually(long, "the copy is found", func(ctx context.Context) error {
		r.Findings = nil
		if err := w.ask(ctx, "POST", "/audit", nil, &r); err != nil {
			return err
		}
		if len(r.Findings) == 0 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if len(r.Findings) != 1 || r.Findings[0].Kind != "unit-by-hand" || r.Findings[0].Key != of.Namespace+"/"+of.Name {
		t.Errorf("%+v", r.Findings)
	}
	w.Kubectl("delete", "--namespace", of.Namespace, "job", of.Name)
	w.verified()
}
