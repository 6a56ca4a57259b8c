package localkube

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrNotFound: there is no such unit, or no such pod that runs.
var ErrNotFound = errors.New("not found")

var (
	errDeletedPod = &stopping{word: "the pod was deleted"}
	errEvictedPod = &stopping{
		word: "the pod was evicted", disruption: "EvictionByEvictionAPI", message: "Eviction API: evicting",
	}
)

// DeleteJob deletes a unit as `kubectl delete job` does: its pods are stopped, then all of it is gone.
func (k *Kube) DeleteJob(uid string) error {
	u := k.unit(uid)
	if u == nil {
		return fmt.Errorf("delete unit %s: %w", uid, ErrNotFound)
	}
	var over bool
	var stop context.CancelCauseFunc
	u.update(func() {
		u.dropped = true
		u.job.DeletionTimestamp = &metav1.Time{Time: k.now()}
		over, stop = jobOver(u.job), u.stop
	})
	if over || stop == nil { // nothing runs
		k.drop(u)
		return nil
	}
	stop(errDropped)
	return nil
}

// DeletePod deletes a unit's running pod by hand, which Kubernetes counts as a failed attempt.
func (k *Kube) DeletePod(unit, pod string) error { return k.stopPod(unit, pod, errDeletedPod) }

// Evict takes a unit's running pod away as the eviction API does, which spends no retry.
func (k *Kube) Evict(unit, pod string) error { return k.stopPod(unit, pod, errEvictedPod) }

func (k *Kube) stopPod(unit, pod string, why *stopping) error {
	u := k.unit(unit)
	if u == nil {
		return fmt.Errorf("stop pod %s of unit %s: %w", pod, unit, ErrNotFound)
	}
	u.mu.Lock()
	stop, current := u.stopPod, u.pod
	u.mu.Unlock()
	if stop == nil || current != pod {
		return fmt.Errorf("stop pod %s of unit %s: %w", pod, unit, ErrNotFound)
	}
	stop(why)
	return nil
}
