package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"tallyman/contract"
	"tallyman/internal/service"
)

// rights are all that the bridge needs, by what it asks for.
var rights = map[string]string{
	"jobs":       "get, list and watch on jobs of batch",
	"pods":       "list and watch on pods",
	"events":     "list and watch on events",
	"scaledjobs": "list and watch on scaledjobs of keda.sh",
	"namespaces": "get on the namespace kube-system",
	"leases":     "get, create and update on leases of coordination.k8s.io",
}

// errSilent marks that no API server answered at all, whatever it was asked.
var errSilent = errors.New("the API server does not answer")

var errHungUp = errors.New("it, or what stands before it, hung up")

// because names in one line what could not be asked, and what to do where a right or KEDA is missing.
func because(verb, resource, namespace string, err error) error {
	where := "in namespace " + namespace
	if namespace == "" {
		where = "of the cluster"
	}
	if asked, ok := errors.AsType[*url.Error](err); ok { // its text has every parameter of the request
		if utilnet.IsProbableEOF(err) || utilnet.IsConnectionReset(err) {
			return fmt.Errorf("%w: %w", errSilent, errHungUp)
		}
		return fmt.Errorf("%w: %w", errSilent, asked.Err)
	}
	switch {
	case errors.Is(err, errHungUp):
		return fmt.Errorf("%w: %w", errSilent, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("may not %s %s %s; the bridge needs %s: %w", verb, resource, where, rights[resource], err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("may not %s %s %s; the API server does not know who asks: mend the service account or the kubeconfig: %w",
			verb, resource, where, err)
	case resource == "scaledjobs" && apierrors.IsNotFound(err):
		return fmt.Errorf("%s %s %s: is KEDA installed? %w", verb, resource, where, err)
	}
	return fmt.Errorf("%s %s %s: %w", verb, resource, where, err)
}

// name logs a fault of one who asks, or its end, once for each change. That nobody answers is a fault of all
// who ask, and is named once for all of them.
func (s *Server) name(own *service.Fault, what string, fault error) {
	shared := fault
	if fault != nil && !errors.Is(fault, errSilent) {
		shared = nil
	}
	switch {
	case !s.silent.Changed(shared):
	case shared != nil:
		s.log.Error("Kubernetes cannot be asked; it is tried again", "error", fault)
	default:
		s.log.Info("the API server answers again")
	}
	if shared != nil {
		return
	}
	switch {
	case !own.Changed(fault):
	case fault != nil:
		s.log.Error(what+" cannot be had; it is tried again", "error", fault)
	default:
		s.log.Info(what + " can be had again")
	}
}

// source lists and watches one kind in one namespace. It remembers why it cannot, and names it once for each
// change: informers try again by themselves, for ever.
type source struct {
	*cache.ListWatch
	server              *Server
	resource, namespace string
	named               service.Fault

	mu     sync.Mutex
	faults []fault // the oldest first
}

// fault is why a verb cannot be done.
type fault struct {
	verb string
	err  error
}

func (s *source) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := s.ListWatch.ListWithContext(ctx, o)
	return list, s.note(ctx, "list", err)
}

func (s *source) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := s.ListWatch.WatchWithContext(ctx, o)
	if err == nil && reflect.TypeOf(w) == reflect.TypeOf(watch.NewEmptyWatch()) {
		// The client makes a watch without events of an answer that broke off, as if there were nothing to tell.
		_ = s.note(ctx, "watch", errHungUp)
		return w, nil
	}
	return w, s.note(ctx, "watch", err)
}

// note keeps a fault of each verb and shows the one that has stood the longest. A watch that stands ends
// every fault; a list ends only its own, for where the right to watch is missing it goes well again and
// again. A server that calls a watch invalid is older than the list by watch that informers try first, and
// one that calls a version expired asks for a list: they go on by themselves.
func (s *source) note(ctx context.Context, verb string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		err = because(verb, s.resource, s.namespace, err)
	}
	s.server.name(&s.named, s.resource+" of namespace "+s.namespace, s.keep(verb, err))
	return err
}

func (s *source) keep(verb string, err error) (shown error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case apierrors.IsInvalid(err), apierrors.IsResourceExpired(err), apierrors.IsGone(err):
	case err == nil && verb == "watch":
		s.faults = nil
	default:
		i := slices.IndexFunc(s.faults, func(f fault) bool { return f.verb == verb })
		switch {
		case err == nil && i >= 0:
			s.faults = slices.Delete(s.faults, i, i+1)
		case err != nil && i >= 0:
			s.faults[i].err = err
		case err != nil:
			s.faults = append(s.faults, fault{verb, err})
		}
	}
	return s.first()
}

func (s *source) first() error {
	if len(s.faults) == 0 {
		return nil
	}
	return s.faults[0].err
}

func (s *source) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first()
}

// strip takes off an object what the bridge never reads, before the cache keeps it. What comes past the
// cache is stripped alike, so that both tell the same facts.
func strip(object any) (any, error) {
	switch o := object.(type) {
	case *batchv1.Job:
		stripJob(o)
	case *corev1.Pod:
		stripPod(o)
	case *unstructured.Unstructured:
		stripScaledJob(o)
	}
	return object, nil
}

func stripJob(j *batchv1.Job) {
	owners := onlyScaledJob(j.OwnerReferences)
	if copied(j.ManagedFields) {
		owners = nil
	}
	j.ManagedFields, j.OwnerReferences, j.Annotations, j.Spec = nil, owners, onlyQueue(j.Annotations), batchv1.JobSpec{}
}

// onlyScaledJob keeps that KEDA made it.
func onlyScaledJob(owners []metav1.OwnerReference) []metav1.OwnerReference {
	for i := range owners {
		if owners[i].Kind == contract.KindScaledJob {
			return []metav1.OwnerReference{{Kind: contract.KindScaledJob}}
		}
	}
	return nil
}

// copied tells whether somebody made it with kubectl, whatever owner the copy still names. Who made a Kubernetes
// Job owns its pod template, which nobody can change later; who only edits or annotates it does not.
func copied(fields []metav1.ManagedFieldsEntry) bool {
	for i := range fields {
		f := &fields[i]
		if f.Subresource == "" && strings.HasPrefix(f.Manager, "kubectl") && f.FieldsV1 != nil && bytes.Contains(f.FieldsV1.Raw, []byte(`"f:template"`)) {
			return true
		}
	}
	return false
}

func stripPod(p *corev1.Pod) {
	p.ManagedFields, p.OwnerReferences, p.Annotations = nil, nil, nil
	p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
}

func onlyQueue(annotations map[string]string) map[string]string {
	queue, ok := annotations[contract.AnnotationQueue]
	if !ok {
		return nil
	}
	return map[string]string{contract.AnnotationQueue: queue}
}
