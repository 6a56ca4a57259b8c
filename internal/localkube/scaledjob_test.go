package localkube

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"tallyman/contract"
)

// What KEDA would say of a queue: ready and idle, at work, and why it cannot ask.
func TestScaledJobsSayWhatKEDAWould(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	hold := `until [ -e "$FAKE/go" ]; do sleep 0.01; done`
	w := newWorld(t, func(o *Options) {
		depth := o.Queues[0].Depth
		o.Queues[0].Max = 1
		o.Queues[0].Depth = func(ctx context.Context) (int, int, int, error) {
			if fails.Load() {
				return 0, 0, 0, errors.New("SQS is unavailable")
			}
			return depth(ctx)
		}
	}, hold, hold)
	condition := func(kind string) contract.Condition {
		all := w.kube.ScaledJobs()
		if len(all) != 1 || all[0].Max != 1 || all[0].Queue == "" || all[0].Paused {
			t.Fatalf("%+v", all)
		}
		return all[0].Condition(kind)
	}
	w.run()
	if all, _ := new(verdict).conditions(); all != nil {
		t.Errorf("before anybody asked: %+v", all)
	}
	w.until("KEDA to see the second message", func() bool { return condition("Active").Status == "True" && condition("Ready").Status == "True" })
	fails.Store(true)
	w.until("KEDA to see no queue", func() bool {
		c := condition("Ready")
		return c.Status == "False" && c.Reason == "TriggerError" && strings.Contains(c.Message, "SQS is unavailable")
	})
	fails.Store(false)
	w.touch("go")
	w.until("KEDA to see an empty queue", func() bool { return condition("Active").Status == "False" && condition("Ready").Status == "True" })
	if w.kube.ScaledJobs()[0].LastActive.IsZero() {
		t.Error("nobody knows when it was active last")
	}
}

// A paused queue makes no unit, and says so.
func TestPausedMakesNoUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Paused = true }, "exit 0").run()
	w.kube.Wake()
	if all := w.kube.ScaledJobs(); len(all) != 1 || !all[0].Paused {
		t.Errorf("%+v", all)
	}
	if jobs := w.kube.Jobs(); len(jobs) != 0 {
		t.Errorf("%d units", len(jobs))
	}
}
