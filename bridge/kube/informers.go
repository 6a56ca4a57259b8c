package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"tallyman/bridge"
	"tallyman/contract"
)

const (
	// listPatience is how long a look at a unit waits for the first list, which a start takes anyway.
	listPatience = 10 * time.Second
	// endPatience is how long an end waits for informers to be well out of the way.
	endPatience = time.Second
	// byUnit is the index of pods by the UID of their Kubernetes Job.
	byUnit = "unit"
	// nobody is a Kubernetes Job that cannot be, asked for to see whether we may ask.
	nobody, nobodyUID = "tallyman-rights", "00000000-0000-0000-0000-000000000000"
)

// Informers is Kubernetes as a cluster's API server shows it: one watch for each kind in each namespace, and
// a cache of what it told. It asks again only past the cache, or where a watch broke.
type Informers struct {
	server  *Server
	mirrors []*mirror
	log     *slog.Logger
	watched atomic.Bool
}

var _ bridge.Kubernetes = (*Informers)(nil)

// NewInformers watches namespaces. It asks nothing yet.
func NewInformers(server *Server, namespaces []string) (*Informers, error) {
	k := &Informers{server: server, log: server.log}
	for _, n := range namespaces {
		m, err := newMirror(server, n)
		if err != nil {
			return nil, fmt.Errorf("bridge: namespace %s: %w", n, err)
		}
		k.mirrors = append(k.mirrors, m)
	}
	return k, nil
}

// Watch lists and watches until ctx ends; it may be called once. A namespace gives its first notice when all
// that it has is in the cache, so that nothing is judged by half of its objects.
func (k *Informers) Watch(ctx context.Context, notify func(namespace, name, uid string)) error {
	if k.watched.Swap(true) {
		return errors.New("bridge: Informers.Watch was called twice")
	}
	g, ctx := errgroup.WithContext(withLog(ctx, k.log))
	for _, m := range k.mirrors {
		g.Go(func() error { return m.watch(ctx, notify) })
	}
	return g.Wait()
}

// withLog lets client-go speak through our log, to those who look closely: it says each try again what
// sources say once.
func withLog(ctx context.Context, log *slog.Logger) context.Context {
	return klog.NewContext(ctx, logr.FromSlogHandler(quietly{log.Handler()}))
}

// quietly makes every line one of level debug.
type quietly struct{ slog.Handler }

func (q quietly) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quietly) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quietly) WithAttrs(a []slog.Attr) slog.Handler { return quietly{q.Handler.WithAttrs(a)} }
func (q quietly) WithGroup(name string) slog.Handler   { return quietly{q.Handler.WithGroup(name)} }

// Unit fills Kubernetes. What the cache gives is as old as the last word of the watch; before the first list
// it waits, for a while.
func (k *Informers) Unit(ctx context.Context, namespace, name, uid string, fresh bool) (*batchv1.Job, []*corev1.Pod, error) {
	m := k.mirror(namespace)
	if m == nil {
		return nil, nil, fmt.Errorf("namespace %s is not watched", namespace)
	}
	if fresh {
		job, pods, err := k.ask(ctx, namespace, name, uid)
		return job, pods, away(err)
	}
	if err := m.wait(ctx); err != nil {
		return nil, nil, away(err)
	}
	return m.unit(name, uid)
}

// Units fills Kubernetes: all that the caches have.
func (k *Informers) Units(ctx context.Context) ([]*batchv1.Job, error) {
	var all []*batchv1.Job
	for _, m := range k.mirrors {
		if err := m.wait(ctx); err != nil {
			return nil, away(err)
		}
		for _, o := range m.jobs.GetStore().List() {
			if j, ok := o.(*batchv1.Job); ok {
				all = append(all, j)
			}
		}
	}
	return all, nil
}

// away marks what Ready names, so that it is not named again for each unit.
func away(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", bridge.ErrAway, err)
}

func (k *Informers) mirror(namespace string) *mirror {
	for _, m := range k.mirrors {
		if m.namespace == namespace {
			return m
		}
	}
	return nil
}

// ask asks past the cache: for the Kubernetes Job first, since its pods are judged by whether it has ended,
// and pods that are newer than that answer can only know more.
func (k *Informers) ask(ctx context.Context, namespace, name, uid string) (*batchv1.Job, []*corev1.Pod, error) {
	job, err := k.server.job(ctx, namespace, name)
	if err != nil {
		return nil, nil, err
	}
	if job != nil && string(job.UID) != uid { // another was made under its name
		job = nil
	}
	pods, err := k.server.pods(ctx, namespace, uid)
	if err != nil {
		return nil, nil, err
	}
	return job, pods, nil
}

// Ready tells in one line why units cannot be seen: what was not answered yet, or which right is missing.
// Whether it may ask past the cache it tries once, for otherwise only the first lost unit would show it.
func (k *Informers) Ready(ctx context.Context) error {
	for _, m := range k.mirrors {
		if err := m.ready(); err != nil {
			return err
		}
		if m.allowed.Load() {
			continue
		}
		if _, _, err := k.ask(ctx, m.namespace, nobody, nobodyUID); err != nil {
			return err
		}
		m.allowed.Store(true)
	}
	return nil
}

// mirror is the cache of one namespace.
type mirror struct {
	namespace  string
	sources    []*source
	jobs, pods cache.SharedIndexInformer
	notices    *notices
	listed     chan struct{} // closed when all that there is is in the cache
	allowed    atomic.Bool   // to ask past the cache
	teller     *teller
}

func newMirror(server *Server, namespace string) (*mirror, error) {
	jobs, pods := server.units(server.batch, "jobs", namespace), server.units(server.core, "pods", namespace)
	m := &mirror{
		namespace: namespace, sources: []*source{jobs, pods}, notices: newNotices(), listed: make(chan struct{}),
		jobs: cache.NewSharedIndexInformer(jobs, &batchv1.Job{}, 0, nil),
		pods: cache.NewSharedIndexInformer(pods, &corev1.Pod{}, 0, cache.Indexers{byUnit: unitOfPod}),
	}
	var err error
	m.teller, err = newTeller(server, m)
	return m, errors.Join(err, m.jobs.SetTransform(strip), m.pods.SetTransform(strip),
		m.jobs.SetWatchErrorHandlerWithContext(ended), m.pods.SetWatchErrorHandlerWithContext(ended))
}

// ended takes note of the end of a list or watch. Sources name what is wrong, once; the rest is ordinary.
func ended(ctx context.Context, _ *cache.Reflector, err error) {
	klog.FromContext(ctx).V(1).Info("a watch has ended", "error", err)
}

func unitOfPod(object any) ([]string, error) {
	n, ok := noticeOf(object)
	if !ok {
		return nil, nil
	}
	return []string{n.uid}, nil
}

func (m *mirror) watch(ctx context.Context, notify func(namespace, name, uid string)) error {
	var told []cache.DoneChecker
	for _, informer := range []cache.SharedIndexInformer{m.jobs, m.pods} {
		r, err := informer.AddEventHandler(m.notices)
		if err != nil {
			return fmt.Errorf("bridge: watch namespace %s: %w", m.namespace, err)
		}
		told = append(told, r.HasSyncedChecker())
	}
	var running sync.WaitGroup
	defer ending(&running)
	running.Go(func() { m.jobs.RunWithContext(ctx) })
	running.Go(func() { m.pods.RunWithContext(ctx) })
	if !cache.WaitFor(ctx, "", told...) {
		return ctx.Err()
	}
	close(m.listed)
	return m.notices.pass(ctx, notify)
}

// ending waits for informers to end, but not for one that sleeps after a failure: client-go lets it sleep on,
// for half a minute at most, and it holds nothing of ours.
func ending(running *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(endPatience):
	}
}

// wait waits for the first list.
func (m *mirror) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	select {
	case <-m.listed:
		return nil
	case <-ctx.Done():
		if err := m.ready(); err != nil {
			return err
		}
		return ctx.Err()
	}
}

func (m *mirror) ready() error {
	for _, s := range m.sources {
		if err := s.ready(); err != nil {
			return err
		}
	}
	select {
	case <-m.listed:
		return m.teller.ready()
	default:
		return fmt.Errorf("the units of namespace %s are not listed yet", m.namespace)
	}
}

// job gives a Kubernetes Job of the cache by its name, nil where there is none; pod a pod.
func (m *mirror) job(name string) *batchv1.Job {
	object, _, _ := m.jobs.GetStore().GetByKey(m.namespace + "/" + name) // a map gives no error
	job, _ := object.(*batchv1.Job)
	return job
}

func (m *mirror) pod(name string) *corev1.Pod {
	object, _, _ := m.pods.GetStore().GetByKey(m.namespace + "/" + name)
	pod, _ := object.(*corev1.Pod)
	return pod
}

// unit reads the cache. Its objects are shared with it.
func (m *mirror) unit(name, uid string) (*batchv1.Job, []*corev1.Pod, error) {
	job := m.job(name)
	if job != nil && string(job.UID) != uid {
		job = nil
	}
	objects, err := m.pods.GetIndexer().ByIndex(byUnit, uid)
	if err != nil {
		return nil, nil, fmt.Errorf("look up the pods of unit %s: %w", uid, err)
	}
	var pods []*corev1.Pod
	for _, o := range objects {
		if p, ok := o.(*corev1.Pod); ok {
			pods = append(pods, p)
		}
	}
	return job, pods, nil
}

// notice names a unit to look at.
type notice struct {
	namespace, name, uid string
}

// noticeOf finds the unit that an object belongs to. A watch that missed a deletion gives a tombstone, whose
// object may be old; its names are not.
func noticeOf(object any) (notice, bool) {
	switch o := object.(type) {
	case cache.DeletedFinalStateUnknown:
		return noticeOf(o.Obj)
	case *batchv1.Job:
		return notice{namespace: o.Namespace, name: o.Name, uid: string(o.UID)}, true
	case *corev1.Pod:
		n := notice{namespace: o.Namespace, name: o.Labels[contract.LabelUnitName], uid: o.Labels[contract.LabelUnit]}
		return n, n.name != "" && n.uid != ""
	}
	return notice{}, false
}

// notices holds units to look at, each once however often it changed.
type notices struct {
	mu      sync.Mutex
	waiting map[string]notice // by UID
	wake    chan struct{}
}

func newNotices() *notices {
	return &notices{waiting: make(map[string]notice), wake: make(chan struct{}, 1)}
}

func (n *notices) add(object any) {
	x, ok := noticeOf(object)
	if !ok {
		return
	}
	n.mu.Lock()
	n.waiting[x.uid] = x
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notices) take() map[string]notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	waiting := n.waiting
	n.waiting = make(map[string]notice)
	return waiting
}

// pass hands the notices on until ctx ends.
func (n *notices) pass(ctx context.Context, notify func(namespace, name, uid string)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.wake:
			for _, x := range n.take() {
				notify(x.namespace, x.name, x.uid)
			}
		}
	}
}

// OnAdd, OnUpdate and OnDelete make notices a handler of informers.
func (n *notices) OnAdd(object any, _ bool) { n.add(object) }

// OnUpdate gives no notice of what a second list only repeats. An object deleted and made anew under one
// name may come as one update: then the old one's unit is to be looked at too.
func (n *notices) OnUpdate(old, object any) {
	if version(old) == version(object) {
		return
	}
	n.add(old)
	n.add(object)
}

func (n *notices) OnDelete(object any) { n.add(object) }

// version is what the API server changes with every change; no two objects of a kind share one.
func version(object any) string {
	if o, ok := object.(metav1.Object); ok {
		return o.GetResourceVersion()
	}
	return ""
}
