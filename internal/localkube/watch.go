package localkube

import (
	"context"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// watcher is somebody who wants to know of changes. It holds each unit once, however often it changed.
type watcher struct {
	mu    sync.Mutex
	dirty map[string]*unit
	wake  chan struct{}
}

func (w *watcher) add(u *unit) {
	w.mu.Lock()
	w.dirty[u.uid()] = u
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() map[string]*unit {
	w.mu.Lock()
	defer w.mu.Unlock()
	dirty := w.dirty
	w.dirty = make(map[string]*unit)
	return dirty
}

// notify tells everybody that a unit changed.
func (k *Kube) notify(u *unit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for w := range k.watchers {
		w.add(u)
	}
}

// Watch calls notify for every unit there is, then for each that changes, until ctx ends. Changes that come
// faster than notify returns are joined.
func (k *Kube) Watch(ctx context.Context, notify func(namespace, name, uid string)) error {
	w := &watcher{dirty: make(map[string]*unit), wake: make(chan struct{}, 1)}
	k.mu.Lock()
	k.watchers[w] = struct{}{}
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.watchers, w)
		k.mu.Unlock()
	}()
	for _, u := range k.all() {
		w.add(u)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
			for uid, u := range w.take() {
				notify(u.job.Namespace, u.job.Name, uid)
			}
		}
	}
}

// Unit gives copies of a unit's objects; a nil Kubernetes Job where there is no such unit. There is no
// cache to ask past, so fresh changes nothing.
func (k *Kube) Unit(_ context.Context, namespace, name, uid string, _ bool) (*batchv1.Job, []*corev1.Pod, error) {
	u := k.unit(uid)
	if u == nil || u.job.Namespace != namespace || u.job.Name != name {
		return nil, nil, nil
	}
	job, pods := u.copies()
	return job, pods, nil
}

func (u *unit) copies() (*batchv1.Job, []*corev1.Pod) {
	u.mu.Lock()
	defer u.mu.Unlock()
	pods := make([]*corev1.Pod, len(u.pods))
	for i, p := range u.pods {
		pods[i] = p.DeepCopy()
	}
	return u.job.DeepCopy(), pods
}

// Units is Jobs, as the bridge asks for them.
func (k *Kube) Units(context.Context) ([]*batchv1.Job, error) { return k.Jobs(), nil }

// Jobs gives a copy of every Kubernetes Job there is, in no order.
func (k *Kube) Jobs() []*batchv1.Job {
	var jobs []*batchv1.Job
	for _, u := range k.all() {
		job, _ := u.copies()
		jobs = append(jobs, job)
	}
	return jobs
}
