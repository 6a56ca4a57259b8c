package bridge

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"tallyman/contract"
)

// ofUnit adds what only Kubernetes knows of a unit: when it was made, and what the attempt's pod, or any of its
// pods, keeps from others.
func (v *View) ofUnit(e *contract.Event, f *fate) {
	if v.Job == nil {
		return
	}
	e.MadeAt = moment(v.Job.CreationTimestamp, v.Now)
	spec := &v.Job.Spec.Template.Spec
	if f != nil {
		spec = &f.pod.Spec // a LimitRange may have given it more than its template asks for
	}
	e.Millicores = int(min(requested(spec, corev1.ResourceCPU, (*resource.Quantity).MilliValue), contract.MaxRequest))
	e.MiB = int(min(requested(spec, corev1.ResourceMemory, (*resource.Quantity).Value)>>20, contract.MaxRequest))
}

// requested is what the scheduler sets aside for a pod: what its containers request together, or the init
// container that requests most, whichever is more; and the overhead.
func requested(spec *corev1.PodSpec, name corev1.ResourceName, value func(*resource.Quantity) int64) int64 {
	of := func(list corev1.ResourceList) int64 {
		q := list[name]
		return max(0, value(&q))
	}
	var together, most int64
	for i := range spec.Containers {
		together += of(spec.Containers[i].Resources.Requests)
	}
	for i := range spec.InitContainers {
		most = max(most, of(spec.InitContainers[i].Resources.Requests))
	}
	return max(together, most) + of(spec.Overhead)
}

// made tells whether the first attempt's claim is to be said beside the processor's own word, since only the
// bridge knows when the unit was made. Of a unit that was cut to a stub it was said long ago.
func (v *View) made(n int, f *fate) bool {
	return n == 1 && f.claimed && v.Job != nil && v.Claim.Task != nil
}
