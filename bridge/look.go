package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"tallyman/contract"
	"tallyman/internal/service"
)

// Scalers is where KEDA's part is seen. kube.Informers fills it of its caches, and so does internal/localkube.
type Scalers interface {
	// ScaledJobs gives the ScaledJob of each queue, as it is now. It asks nobody.
	ScaledJobs() []contract.ScaledJob
}

// Sights is where the bridge writes what it sees: the bucket "claims". *stream.Bucket fills it.
type Sights interface {
	Put(ctx context.Context, key string, value []byte) (uint64, error)
}

const (
	// lookEvery is how soon a change is seen by those who explain, and how seldom a queue in turmoil is written.
	lookEvery  = time.Second
	sightEvery = contract.SightEverySeconds * time.Second
)

// lookout writes what is seen of each queue, whenever that changes, and again before anybody could think
// that nobody looks.
type lookout struct {
	o     *Options
	units func() []string
	place func(uid string) (place, bool)
	sure  func(context.Context) error
	stirs *atomic.Bool // a unit has changed
	named service.Fault
	last  map[string]contract.Sight // as it was written last, by queue
	at    time.Time                 // when units were read last
}

// lookForEver looks until ctx ends.
func (b *Bridge) lookForEver(ctx context.Context) error {
	l := &lookout{
		o: &b.o, units: b.books.known, place: b.books.place, sure: b.Ready, stirs: &b.stirs, last: make(map[string]contract.Sight),
	}
	tick := b.o.Clock.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := l.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case l.named.Changed(err) && err != nil:
			b.o.Log.Warn("what is seen of the queues cannot be told; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.Chan():
		}
	}
}

// look writes what is new of each queue. A queue that has gone is written once more, as it is now: empty.
func (l *lookout) look(ctx context.Context) error {
	if err := l.sure(ctx); err != nil {
		return nil // named by who is not sure
	}
	scaled := make(map[string]*contract.ScaledJob)
	queues := make(map[string]bool)
	for _, s := range l.o.Scalers.ScaledJobs() {
		scaled[s.Queue], queues[s.Queue] = cutScaledJob(&s), true
	}
	if !l.stirs.Swap(false) && l.same(scaled) && l.o.Clock.Since(l.at) < sightEvery {
		return nil
	}
	l.at = l.o.Clock.Now()
	units, err := l.byQueue(ctx)
	if err != nil {
		l.at = time.Time{}
		return err
	}
	for q := range units {
		queues[q] = true
	}
	for q := range l.last {
		queues[q] = true
	}
	for q := range queues {
		if err := l.write(ctx, See(l.o.Clock.Now(), l.o.Cluster, q, scaled[q], units[q], l.o.BackoffScale)); err != nil {
			l.at = time.Time{}
			return err
		}
	}
	return nil
}

// same tells whether KEDA's objects are as they were written last.
func (l *lookout) same(scaled map[string]*contract.ScaledJob) bool {
	for q, s := range scaled {
		if old, ok := l.last[q]; !ok || !reflect.DeepEqual(atRest(old.ScaledJob), atRest(s)) {
			return false
		}
	}
	for q, old := range l.last {
		if old.ScaledJob != nil && scaled[q] == nil {
			return false
		}
	}
	return true
}

// atRest is a ScaledJob without what KEDA changes with every poll, so that it alone makes nothing new.
func atRest(s *contract.ScaledJob) *contract.ScaledJob {
	if s == nil {
		return nil
	}
	rest := *s
	rest.LastActive = contract.Time{}
	return &rest
}

// byQueue reads the units that are known, of the cache.
func (l *lookout) byQueue(ctx context.Context) (map[string][]Unit, error) {
	all := make(map[string][]Unit)
	for _, uid := range l.units() {
		p, ok := l.place(uid)
		if !ok {
			continue
		}
		job, pods, err := l.o.Kubernetes.Unit(ctx, p.namespace, p.name, uid, false)
		if err != nil {
			return nil, fmt.Errorf("read unit %s/%s: %w", p.namespace, p.name, err)
		}
		if job == nil || finished(job) {
			continue
		}
		if q := job.Annotations[contract.AnnotationQueue]; contract.ValidToken(q) {
			all[q] = append(all[q], Unit{Job: job, Pods: pods})
		}
	}
	return all, nil
}

// write puts a sight that is new, or old enough to be said again.
func (l *lookout) write(ctx context.Context, s contract.Sight) error {
	old, ok := l.last[s.Queue]
	age := s.At.Sub(old.At.Time)
	was, is := old, s
	was.At, was.ScaledJob, is.ScaledJob = s.At, atRest(old.ScaledJob), atRest(s.ScaledJob)
	if ok && age < sightEvery && reflect.DeepEqual(was, is) {
		return nil
	}
	value, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode what is seen of queue %s: %w", s.Queue, err)
	}
	if _, err := l.o.Sights.Put(ctx, contract.SightKey(s.Queue), value); err != nil {
		return err
	}
	l.last[s.Queue] = s
	return nil
}
