package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"tallyman/contract"
)

const (
	// askTimeout is how long one question past the cache may take.
	askTimeout = 10 * time.Second
	// asksPerSecond and asksAtOnce spare the API server when many claims are closed at once.
	asksPerSecond = 50
	asksAtOnce    = 100
)

// Server is all that the bridge asks of Kubernetes. It has two kinds and no way to write.
type Server struct {
	batch, core rest.Interface
}

// Dial speaks to the API server of a kubeconfig, or without one to that of the cluster we run in. It sends
// nothing yet. The generated clients of every kind of Kubernetes are left out: we read two.
func Dial(kubeconfig string) (*Server, error) {
	config, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(batchv1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("bridge: Kubernetes' kinds: %w", err)
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.UserAgent, config.QPS, config.Burst = "tallyman-bridge", asksPerSecond, asksAtOnce
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("bridge: reach the API server %s: %w", config.Host, err)
	}
	of := func(path string, group schema.GroupVersion) (rest.Interface, error) {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion = path, &group
		return rest.RESTClientForConfigAndClient(c, client)
	}
	batch, err := of("/apis", batchv1.SchemeGroupVersion)
	if err != nil {
		return nil, fmt.Errorf("bridge: reach the API server %s: %w", config.Host, err)
	}
	core, err := of("/api", corev1.SchemeGroupVersion)
	if err != nil {
		return nil, fmt.Errorf("bridge: reach the API server %s: %w", config.Host, err)
	}
	return &Server{batch: batch, core: core}, nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig != "" {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("bridge: read kubeconfig %s: %w", kubeconfig, err)
		}
		return config, nil
	}
	config, err := rest.InClusterConfig()
	switch {
	case errors.Is(err, rest.ErrNotInCluster):
		return nil, errors.New("bridge: this is no pod of a cluster: name the API server with --kubeconfig")
	case err != nil:
		return nil, fmt.Errorf("bridge: read the service account of this pod: %w", err)
	}
	return config, nil
}

// job gives the Kubernetes Job of this name as it is now, nil where there is none.
func (a *Server) job(ctx context.Context, namespace, name string) (*batchv1.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var job batchv1.Job
	err := a.batch.Get().Namespace(namespace).Resource("jobs").Name(name).Do(ctx).Into(&job)
	switch {
	case absent(err, name):
		return nil, nil
	case err != nil:
		return nil, because("get", "jobs", namespace, err)
	}
	stripJob(&job)
	return &job, nil
}

// absent tells whether the API server itself says that there is no such object. Whatever stands before it,
// or a wrong address, may say 404 of everything, and each unit would be called gone.
func absent(err error, name string) bool {
	var said apierrors.APIStatus
	if !errors.As(err, &said) || !apierrors.IsNotFound(err) {
		return false
	}
	d := said.Status().Details
	return d != nil && d.Name == name && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// pods gives the pods of a unit as they are now.
func (a *Server) pods(ctx context.Context, namespace, uid string) ([]*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	options := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{contract.LabelUnit: uid}).String()}
	var list corev1.PodList
	err := a.core.Get().Namespace(namespace).Resource("pods").VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(&list)
	if err != nil {
		return nil, because("list", "pods", namespace, err)
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
		stripPod(pods[i])
	}
	return pods, nil
}

// because names in one line what could not be asked, and what to do where a right is missing.
func because(verb, resource, namespace string, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("may not %s %s in namespace %s; the bridge needs get, list and watch on jobs, list and watch on pods: %w",
			verb, resource, namespace, err)
	}
	return fmt.Errorf("%s %s in namespace %s: %w", verb, resource, namespace, err)
}

// source lists and watches the units of one namespace, by one kind. It remembers why it cannot.
type source struct {
	*cache.ListWatch
	resource, namespace string

	mu    sync.Mutex
	verb  string // that found the fault
	fault error
}

func newSource(c rest.Interface, resource, namespace string) *source {
	ofKEDA := func(o *metav1.ListOptions) { o.LabelSelector = contract.LabelScaledJob }
	return &source{
		ListWatch: cache.NewFilteredListWatchFromClient(c, resource, namespace, ofKEDA),
		resource:  resource, namespace: namespace,
	}
}

func (s *source) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := s.ListWatch.ListWithContext(ctx, o)
	return list, s.note("list", err)
}

func (s *source) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := s.ListWatch.WatchWithContext(ctx, o)
	return w, s.note("watch", err)
}

// note keeps the newest fault. A watch that stands ends every fault; a list ends only its own, for where
// the right to watch is missing it goes well again and again. A server that calls a watch invalid is older
// than the list by watch that informers try first; they go on by themselves.
func (s *source) note(verb string, err error) error {
	if err != nil {
		err = because(verb, s.resource, s.namespace, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case apierrors.IsInvalid(err):
	case err != nil:
		s.verb, s.fault = verb, err
	case verb == "watch" || verb == s.verb:
		s.fault = nil
	}
	return err
}

func (s *source) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// strip takes off an object what the bridge never reads, before the cache keeps it. What comes past the
// cache is stripped alike, so that both tell the same facts.
func strip(object any) (any, error) {
	switch o := object.(type) {
	case *batchv1.Job:
		stripJob(o)
	case *corev1.Pod:
		stripPod(o)
	}
	return object, nil
}

func stripJob(j *batchv1.Job) {
	queue, ok := j.Annotations[contract.AnnotationQueue]
	j.ManagedFields, j.OwnerReferences, j.Annotations, j.Spec = nil, nil, nil, batchv1.JobSpec{}
	if ok {
		j.Annotations = map[string]string{contract.AnnotationQueue: queue}
	}
}

func stripPod(p *corev1.Pod) {
	p.ManagedFields, p.OwnerReferences, p.Annotations = nil, nil, nil
	p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
}
