package localkube

import (
	"sync"
	"time"

	"tallyman/contract"
)

// verdict is what KEDA would say of one queue after it asked for its depth last.
type verdict struct {
	mu         sync.Mutex
	asked      bool
	fault      error
	active     bool
	lastActive time.Time
}

func (v *verdict) say(active bool, fault error, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked, v.active, v.fault = true, active, fault
	if active {
		v.lastActive = now
	}
}

// conditions are KEDA's own, in its own words.
func (v *verdict) conditions() (all []contract.Condition, lastActive time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.asked {
		return nil, v.lastActive
	}
	ready := contract.Condition{Type: "Ready", Status: "True", Reason: "ScaledJobReady", Message: "ScaledJob is defined correctly and is ready for scaling"}
	if v.fault != nil {
		ready.Status, ready.Reason = "False", "TriggerError"
		ready.Message = "Triggers defined in ScaledJob are not working correctly: " + v.fault.Error()
	}
	active := contract.Condition{Type: "Active", Status: "False", Reason: "ScalerNotActive", Message: "Scaling is not performed because triggers are not active"}
	if v.active {
		active.Status, active.Reason, active.Message = "True", "ScalerActive", "Scaling is performed because triggers are active"
	}
	return []contract.Condition{ready, active}, v.lastActive
}

// ScaledJobs gives the ScaledJob that each queue would have.
func (k *Kube) ScaledJobs() []contract.ScaledJob {
	all := make([]contract.ScaledJob, 0, len(k.o.Queues))
	for i := range k.o.Queues {
		q := &k.o.Queues[i]
		conditions, last := k.verdicts[q.Name].conditions()
		all = append(all, contract.ScaledJob{
			Queue: q.Name, Namespace: k.o.Namespace, Name: q.Name, Max: q.Max, Paused: k.o.Paused, Conditions: conditions,
			// To the second, as Kubernetes keeps it: a new one with every poll would be a change with every poll.
			LastActive: contract.At(last.Truncate(time.Second)),
		})
	}
	return all
}
