package localkube

import (
	"cmp"
	"context"
	"os"
	"slices"
	"time"

	"github.com/kedacore/keda/v2/pkg/scaling/scaledjob"
	v2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/metrics/pkg/apis/external_metrics"
)

// depthTimeout bounds one question to a queue.
const depthTimeout = 10 * time.Second

// scaleForEver is KEDA's loop for one ScaledJob.
func (k *Kube) scaleForEver(ctx context.Context, q *Queue, wake <-chan struct{}) {
	tick := k.o.Clock.NewTicker(k.o.Poll)
	defer tick.Stop()
	away := false // the queue did not answer, so that one line is logged and not ten a second
	for {
		k.cleanUp(q)
		away = k.scale(ctx, q, away)
		select {
		case <-ctx.Done():
			return
		case <-tick.Chan():
		case <-wake:
		}
	}
}

// scale makes the units that a queue needs now, and tells whether the queue did not answer.
func (k *Kube) scale(ctx context.Context, q *Queue, away bool) bool {
	// Units are counted before messages, the other way round than KEDA does: a claim that falls between
	// the two then hides a message until the next poll, and never makes a unit that finds none.
	running, pending := k.counts(q)
	asking, cancel := context.WithTimeout(ctx, depthTimeout)
	visible, _, _, err := q.Depth(asking)
	cancel()
	k.verdicts[q.Name].say(err == nil && visible > 0, err, k.now())
	if err != nil {
		if !away && ctx.Err() == nil {
			k.o.Log.Warn("a queue does not tell its depth; no units are made for it until it does", "queue", q.Name, "error", err)
		}
		return true
	}
	need := wanted(int64(visible), running, pending, int64(q.Max))
	for range k.silences[q.Name].most(need, k.now()) {
		u, err := k.create(q)
		if err != nil {
			k.o.Log.Error("a unit could not be made", "queue", q.Name, "error", err)
			break
		}
		k.start(ctx, u)
	}
	return false
}

// wanted is how many units KEDA would make of a queue with queueLength 1, activationQueueLength 0 and the
// accurate strategy.
func wanted(visible, running, pending, most int64) int64 {
	const metric = "s0-aws-sqs"
	one := resource.NewQuantity(1, resource.DecimalSI)
	values := []external_metrics.ExternalMetricValue{{MetricName: metric, Value: *resource.NewQuantity(visible, resource.DecimalSI)}}
	specs := []v2.MetricSpec{{External: &v2.ExternalMetricSource{
		Metric: v2.MetricIdentifier{Name: metric}, Target: v2.MetricTarget{Type: v2.AverageValueMetricType, AverageValue: one},
	}}}
	length, maxValue, _ := scaledjob.CalculateQueueLengthAndMaxValue(values, specs, most)
	active, scaleTo, maxScale, _ := scaledjob.IsScaledJobActive(
		[]scaledjob.ScalerMetrics{{QueueLength: length, MaxValue: maxValue, IsActive: visible > 0}}, "", 0, most)
	if !active {
		return 0
	}
	return max(0, min(scaleTo, accurate(maxScale, running, pending, most)))
}

// accurate is how many units KEDA's strategy of that name allows in one poll. It stands here because
// KEDA's own is in a package that imports five times what this program does; keda_test.go holds the two together.
func accurate(maxScale, running, pending, most int64) int64 {
	if maxScale+running-pending > most {
		return most - running
	}
	return maxScale - pending
}

// counts is how many units of a queue are not over, and how many of those have not claimed: no pod of
// theirs is Initialized.
func (k *Kube) counts(q *Queue) (running, pending int64) {
	for _, u := range k.all() {
		if u.queue != q {
			continue
		}
		over, waits := u.phase()
		if over {
			continue
		}
		running++
		if waits {
			pending++
		}
	}
	return running, pending
}

// create makes a unit and writes it down.
func (k *Kube) create(q *Queue) (*unit, error) {
	job, err := k.newJob(q)
	if err != nil {
		return nil, err
	}
	u := &unit{kube: k, queue: q, job: job}
	if err := k.save(u); err != nil {
		return nil, err
	}
	k.mu.Lock()
	k.units[u.uid()] = u
	k.mu.Unlock()
	k.notify(u)
	return u, nil
}

// cleanUp drops finished units of a queue: those older than the TTL, and the oldest beyond the history.
func (k *Kube) cleanUp(q *Queue) {
	type old struct {
		u  *unit
		at time.Time
	}
	var done [2][]old // Complete, Failed
	for _, u := range k.all() {
		if u.queue != q {
			continue
		}
		if at, complete := u.finished(); !at.IsZero() {
			i := 1
			if complete {
				i = 0
			}
			done[i] = append(done[i], old{u, at})
		}
	}
	for _, list := range done {
		slices.SortFunc(list, func(a, b old) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.u.uid(), b.u.uid())) })
		for i, x := range list {
			if i >= k.o.History || k.now().Sub(x.at) > k.o.TTL {
				k.drop(x.u)
			}
		}
	}
}

// drop forgets a unit and everything of it on disk.
func (k *Kube) drop(u *unit) {
	k.mu.Lock()
	delete(k.units, u.uid())
	k.mu.Unlock()
	u.mu.Lock()
	u.gone = true
	u.mu.Unlock()
	for _, path := range append(u.podDirs(), k.unitFile(u.uid())) {
		if err := os.RemoveAll(path); err != nil {
			k.o.Log.Error("a unit could not be removed from disk", "unit", u.uid(), "error", err)
		}
	}
	k.notify(u)
}

// finished is when the unit was Complete or Failed; the zero time where it is neither.
func (u *unit) finished() (at time.Time, complete bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return jobFinishTime(u.job), jobCondition(u.job, batchv1.JobComplete)
}
