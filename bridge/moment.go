package bridge

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
)

// moment is a time of Kubernetes as the time of an event. Kubernetes cuts its times to whole seconds, and
// of two voices for one fact the earlier time wins: a cut time would put an attempt's end before the
// beginning that the processor told in milliseconds. So a whole second stands for its last millisecond,
// though never for one that is still to come.
func moment(t metav1.Time, now time.Time) contract.Time {
	if t.Unix() <= 0 { // unset, or the 1970 that the kubelet writes where it does not know
		return contract.Time{}
	}
	m := t.Time
	if m.Nanosecond() == 0 {
		m = m.Add(time.Second - time.Millisecond)
	}
	if m.After(now) {
		m = now
	}
	return contract.At(m)
}

// firstOf gives the first moment that is known.
func firstOf(ts ...contract.Time) contract.Time {
	for _, t := range ts {
		if !t.IsZero() {
			return t
		}
	}
	return contract.Time{}
}
