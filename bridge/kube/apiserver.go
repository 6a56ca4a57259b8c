package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"tallyman/bridge"
	"tallyman/contract"
	"tallyman/internal/service"
)

const (
	// askTimeout is how long one question past the cache may take.
	askTimeout = 10 * time.Second
	// whoTimeout is the same for which cluster this is, which /readyz asks too and has 5 s for.
	whoTimeout = 3 * time.Second
	// asksPerSecond and asksAtOnce spare the API server when many claims are closed at once.
	asksPerSecond = 50
	asksAtOnce    = 100
	// ofTheCluster is the namespace that every cluster has from its first to its last day.
	ofTheCluster = "kube-system"
)

// scaledJobs is KEDA's kind, read without its Go types: they would bring half of KEDA.
var scaledJobs = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledjobs"}

// Server is all that the bridge asks of Kubernetes. It writes nothing but a Lease.
type Server struct {
	batch, core, leases rest.Interface
	dynamic             dynamic.Interface
	log                 *slog.Logger
	silent              service.Fault // that nobody answers
}

var _ bridge.ClusterUID = (*Server)(nil)

// Dial speaks to the API server of a kubeconfig, or without one to that of the cluster we run in. It sends
// nothing yet. The generated clients of every kind of Kubernetes are left out: we read four.
func Dial(kubeconfig string, log *slog.Logger) (*Server, error) {
	config, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{log: log}
	if err := s.connect(config); err != nil {
		return nil, fmt.Errorf("bridge: reach the API server %s: %w", config.Host, err)
	}
	return s, nil
}

func (s *Server) connect(config *rest.Config) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(batchv1.AddToScheme(scheme), corev1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme)); err != nil {
		return err
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.UserAgent, config.QPS, config.Burst = "tallyman-bridge", asksPerSecond, asksAtOnce
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	of := func(path string, group schema.GroupVersion) rest.Interface {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion = path, &group
		r, e := rest.RESTClientForConfigAndClient(c, client)
		err = errors.Join(err, e)
		return r
	}
	s.batch, s.core = of("/apis", batchv1.SchemeGroupVersion), of("/api", corev1.SchemeGroupVersion)
	s.leases = of("/apis", coordinationv1.SchemeGroupVersion)
	anything, e := dynamic.NewForConfigAndClient(config, client)
	s.dynamic = anything
	return errors.Join(err, e)
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

// ClusterUID fills bridge.ClusterUID.
func (s *Server) ClusterUID(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, whoTimeout)
	defer cancel()
	var ns corev1.Namespace
	if err := s.core.Get().Resource("namespaces").Name(ofTheCluster).Do(ctx).Into(&ns); err != nil {
		return "", fmt.Errorf("%w: %w", bridge.ErrAway, because("get", "namespaces", "", err))
	}
	if ns.UID == "" { // whatever answers, it is no API server
		return "", fmt.Errorf("%w: the namespace %s has no UID", bridge.ErrAway, ofTheCluster)
	}
	return string(ns.UID), nil
}

// Version is what the API server says of itself. Kubernetes lets everybody ask for that by default; where it does not,
// that is no fault.
func (s *Server) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, whoTimeout)
	defer cancel()
	var said struct {
		GitVersion string `json:"gitVersion"`
	}
	b, err := s.core.Get().AbsPath("/version").Do(ctx).Raw()
	if err == nil {
		err = json.Unmarshal(b, &said)
	}
	switch {
	case apierrors.IsForbidden(err):
		return "it does not tell", nil
	case err != nil:
		return "", because("get", "version", "", err)
	}
	return said.GitVersion, nil
}

// job gives the Kubernetes Job of this name as it is now, nil where there is none.
func (s *Server) job(ctx context.Context, namespace, name string) (*batchv1.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var job batchv1.Job
	err := s.batch.Get().Namespace(namespace).Resource("jobs").Name(name).Do(ctx).Into(&job)
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
func (s *Server) pods(ctx context.Context, namespace, uid string) ([]*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	options := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{contract.LabelUnit: uid}).String()}
	var list corev1.PodList
	err := s.core.Get().Namespace(namespace).Resource("pods").VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(&list)
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

// units lists and watches what KEDA's units are made of, by one kind.
func (s *Server) units(c rest.Interface, resource, namespace string) *source {
	ofKEDA := func(o *metav1.ListOptions) { o.LabelSelector = contract.LabelScaledJob }
	return s.source(cache.NewFilteredListWatchFromClient(c, resource, namespace, ofKEDA), resource, namespace)
}

// events lists and watches all Kubernetes Events of a namespace: they cannot be told apart by a selector.
func (s *Server) events(namespace string) *source {
	all := func(*metav1.ListOptions) {}
	return s.source(cache.NewFilteredListWatchFromClient(s.core, "events", namespace, all), "events", namespace)
}

// scaledJobs lists and watches ScaledJobs.
func (s *Server) scaledJobs(namespace string) *source {
	c := s.dynamic.Resource(scaledJobs).Namespace(namespace)
	return s.source(&cache.ListWatch{
		ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return c.List(ctx, o) },
		WatchFuncWithContext: c.Watch,
	}, scaledJobs.Resource, namespace)
}

func (s *Server) source(lw *cache.ListWatch, resource, namespace string) *source {
	return &source{ListWatch: lw, resource: resource, namespace: namespace, server: s}
}
