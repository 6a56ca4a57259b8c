package kube

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tallyman/bridge"
	"tallyman/contract"
)

// Annotations by which KEDA is told to make nothing, unless the value is "false".
var pausing = [...]string{"autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas"} // never written to

// defaultMax is KEDA's own, where a ScaledJob names none.
const defaultMax = 100

var _ bridge.Scalers = (*Informers)(nil)

// ScaledJobs fills bridge.Scalers from the caches. Of several that serve one queue in one namespace after
// the other, the first by name stands.
func (k *Informers) ScaledJobs() []contract.ScaledJob {
	var all []contract.ScaledJob
	for _, m := range k.mirrors {
		for _, object := range m.teller.scaledJobs.GetStore().List() {
			if o, ok := object.(*unstructured.Unstructured); ok {
				if s, ok := scaledJobOf(o); ok {
					all = append(all, s)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b contract.ScaledJob) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(b.Namespace, a.Namespace), cmp.Compare(b.Name, a.Name))
	})
	return all
}

// scaledJobOf reads KEDA's object; false where it is no queue's.
func scaledJobOf(o *unstructured.Unstructured) (contract.ScaledJob, bool) {
	notes := o.GetAnnotations()
	s := contract.ScaledJob{Queue: notes[contract.AnnotationQueue], Namespace: o.GetNamespace(), Name: o.GetName(), Max: defaultMax}
	if n, ok, err := unstructured.NestedInt64(o.Object, "spec", "maxReplicaCount"); ok && err == nil {
		s.Max = int(n)
	}
	for _, name := range pausing {
		if v, ok := notes[name]; ok && v != "false" {
			s.Paused = true
		}
	}
	if text, ok, err := unstructured.NestedString(o.Object, "status", "lastActiveTime"); ok && err == nil {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			s.LastActive = contract.At(at)
		}
	}
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions") // absent until KEDA has looked
	for _, item := range list {
		if c, ok := item.(map[string]any); ok {
			s.Conditions = append(s.Conditions, contract.Condition{
				Type: text(c, "type"), Status: text(c, "status"), Reason: text(c, "reason"), Message: text(c, "message"),
			})
		}
	}
	return s, contract.ValidToken(s.Queue)
}

func text(fields map[string]any, name string) string {
	s, _ := fields[name].(string)
	return s
}

// stripScaledJob takes off what is never read: most of all the template of its pods.
func stripScaledJob(o *unstructured.Unstructured) {
	notes := make(map[string]string)
	for _, name := range append(pausing[:], contract.AnnotationQueue) {
		if v, ok := o.GetAnnotations()[name]; ok {
			notes[name] = v
		}
	}
	o.SetManagedFields(nil)
	o.SetOwnerReferences(nil)
	o.SetLabels(nil)
	o.SetAnnotations(notes)
	most, ok, err := unstructured.NestedFieldNoCopy(o.Object, "spec", "maxReplicaCount")
	unstructured.RemoveNestedField(o.Object, "spec")
	if ok && err == nil {
		_ = unstructured.SetNestedField(o.Object, most, "spec", "maxReplicaCount") // of an object that has no spec
	}
}
