package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"

	"tallyman/bridge"
	"tallyman/contract"
)

const (
	// lookAgainAfter is how long a Kubernetes Event of an object that no watch has shown yet is kept: the
	// watches are not in step. Most such objects are not ours at all.
	lookAgainAfter = 3 * time.Second
	maxLookAgain   = 1000
	lookEvery      = time.Second
)

var _ bridge.KubernetesEvents = (*Informers)(nil)

// WatchEvents fills bridge.KubernetesEvents. It keeps none of them.
func (k *Informers) WatchEvents(ctx context.Context, tell func(contract.Scaling)) error {
	g, ctx := errgroup.WithContext(withLog(ctx, k.log))
	for _, m := range k.mirrors {
		g.Go(func() error { return m.teller.run(ctx, tell) })
	}
	return g.Wait()
}

// teller finds the Kubernetes Events of one namespace that are a queue's.
type teller struct {
	m          *mirror
	events     *source
	scaledJobs cache.SharedIndexInformer

	mu     sync.Mutex
	again  []unknown // the oldest first
	tell   func(contract.Scaling)
	listed bool // all that there were have been told
}

// unknown is a Kubernetes Event of an object that was not seen yet.
type unknown struct {
	event *corev1.Event
	due   time.Time
}

func newTeller(server *Server, m *mirror) (*teller, error) {
	scaled := server.scaledJobs(m.namespace)
	t := &teller{
		m: m, events: server.events(m.namespace),
		scaledJobs: cache.NewSharedIndexInformer(scaled, &unstructured.Unstructured{}, 0, nil),
	}
	m.sources = append(m.sources, t.events, scaled)
	return t, errors.Join(t.scaledJobs.SetTransform(strip), t.scaledJobs.SetWatchErrorHandlerWithContext(ended))
}

func (t *teller) run(ctx context.Context, tell func(contract.Scaling)) error {
	t.mu.Lock()
	t.tell = tell
	t.mu.Unlock()
	var running sync.WaitGroup
	defer ending(&running)
	running.Go(func() { t.scaledJobs.RunWithContext(ctx) })
	select { // the first list has an hour of Events, whose objects are to be known
	case <-t.m.listed:
	case <-ctx.Done():
		return ctx.Err()
	}
	known, cancel := context.WithTimeout(ctx, listPatience)
	cache.WaitFor(known, "", t.scaledJobs.HasSyncedChecker()) // KEDA may be missing; units are known without it
	cancel()
	r := cache.NewReflectorWithOptions(t.events, &corev1.Event{}, t, cache.ReflectorOptions{})
	running.Go(func() { r.RunWithContext(ctx) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			t.lookAgain(now)
		}
	}
}

// Add, Update, Delete, Replace and Resync make a teller what a reflector fills in the place of a cache.
func (t *teller) Add(object any) error {
	if e, ok := object.(*corev1.Event); ok && !t.pass(e) && couldBeOurs(e) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.again) < maxLookAgain {
			t.again = append(t.again, unknown{event: e, due: time.Now().Add(lookAgainAfter)})
		}
	}
	return nil
}

func (t *teller) Update(object any) error { return t.Add(object) }

// Delete is what an API server does with a Kubernetes Event after an hour.
func (t *teller) Delete(any) error { return nil }

func (t *teller) Replace(objects []any, _ string) error {
	for _, o := range objects {
		if err := t.Add(o); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listed = true
	return nil
}

// ready tells whether the first list has come, of one that runs. What is wrong with a source, it says itself.
func (t *teller) ready() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tell != nil && !t.listed {
		return fmt.Errorf("the Kubernetes Events of namespace %s are not listed yet", t.m.namespace)
	}
	return nil
}

func (t *teller) Resync() error { return nil }

// lookAgain takes what is due off the list, for the last time.
func (t *teller) lookAgain(now time.Time) {
	t.mu.Lock()
	n := 0
	for n < len(t.again) && !t.again[n].due.After(now) {
		n++
	}
	due := t.again[:n]
	t.again = t.again[n:]
	t.mu.Unlock()
	for _, u := range due {
		t.pass(u.event)
	}
}

// pass tells a Kubernetes Event whose object is a queue's.
func (t *teller) pass(e *corev1.Event) bool {
	s, ok := t.of(e.InvolvedObject)
	if !ok {
		return false
	}
	s.UID, s.ObjectUID = string(e.UID), string(e.InvolvedObject.UID)
	s.Namespace, s.Kind, s.Name = t.m.namespace, e.InvolvedObject.Kind, e.InvolvedObject.Name
	s.Severity, s.Reason, s.Message, s.Count = contract.Normal, e.Reason, e.Message, max(1, int(e.Count))
	if e.Type == corev1.EventTypeWarning {
		s.Severity = contract.Warning
	}
	s.Component = e.ReportingController
	if s.Component == "" {
		s.Component = e.Source.Component
	}
	s.Last = first(e.LastTimestamp.Time, e.EventTime.Time, e.FirstTimestamp.Time, e.CreationTimestamp.Time)
	if e.Series != nil { // how the scheduler and everybody of the newer API count
		s.Count = max(s.Count, int(e.Series.Count))
		s.Last = first(e.Series.LastObservedTime.Time, s.Last.Time)
	}
	s.First = first(e.FirstTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time, s.Last.Time)
	t.tell(s)
	return true
}

func first(times ...time.Time) contract.Time {
	for _, t := range times {
		if t.Unix() > 0 {
			return contract.At(t)
		}
	}
	return contract.Time{}
}

// couldBeOurs tells whether a watch may still show the object.
func couldBeOurs(e *corev1.Event) bool {
	o := e.InvolvedObject
	return o.Kind == contract.KindJob || o.Kind == contract.KindPod || isScaledJob(o)
}

func isScaledJob(o corev1.ObjectReference) bool {
	return o.Kind == contract.KindScaledJob && o.GroupVersionKind().Group == scaledJobs.Group
}

// of finds the queue, the unit and the ScaledJob of an object.
func (t *teller) of(o corev1.ObjectReference) (contract.Scaling, bool) {
	var job *batchv1.Job
	switch {
	case o.Kind == contract.KindJob:
		job = t.m.job(o.Name)
		if job != nil && job.UID != o.UID {
			job = nil
		}
	case o.Kind == contract.KindPod:
		if pod := t.m.pod(o.Name); pod != nil && pod.UID == o.UID {
			job = t.m.job(pod.Labels[contract.LabelUnitName])
			if job != nil && string(job.UID) != pod.Labels[contract.LabelUnit] {
				job = nil
			}
		}
	case isScaledJob(o):
		return t.ofScaledJob(o)
	}
	if job == nil {
		return contract.Scaling{}, false
	}
	queue := job.Annotations[contract.AnnotationQueue]
	s := contract.Scaling{Queue: queue, Unit: string(job.UID), ScaledJob: job.Labels[contract.LabelScaledJob]}
	return s, contract.ValidToken(queue)
}

func (t *teller) ofScaledJob(o corev1.ObjectReference) (contract.Scaling, bool) {
	object, _, err := t.scaledJobs.GetStore().GetByKey(t.m.namespace + "/" + o.Name)
	scaled, ok := object.(*unstructured.Unstructured)
	if err != nil || !ok || scaled.GetUID() != o.UID {
		return contract.Scaling{}, false
	}
	queue := scaled.GetAnnotations()[contract.AnnotationQueue]
	return contract.Scaling{Queue: queue, ScaledJob: o.Name}, contract.ValidToken(queue)
}
