package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tallyman/contract"
	"tallyman/internal/localkube"
)

// apiServer shows the Kubernetes Jobs and pods of a localkube as an API server shows them, as far as the
// bridge asks: get, list, watch with a history, and Leases.
type apiServer struct {
	kube *localkube.Kube

	mu      sync.Mutex
	born    int64 // the version it began with; a life of it knows nothing of what was before
	version int64
	objects map[string]shown           // by resource and name
	units   map[string]map[string]bool // the keys of the objects of each Kubernetes Job, by its UID
	leases  map[string]*coordinationv1.Lease
	history []change
	moved   chan struct{} // closed when there is more

	refreshing sync.Mutex
	refreshed  atomic.Int64 // how many were begun
}

// shown is an object as a version of it was shown.
type shown struct {
	resource string
	object   metav1.Object
	version  int64
}

type change struct {
	shown
	kind string // ADDED, MODIFIED, DELETED
}

// kinds of the resources that the bridge asks for; of the last two there is never any.
var kindOf = map[string][2]string{
	"jobs": {"batch/v1", "Job"}, "pods": {"v1", "Pod"}, "events": {"v1", "Event"},
	"scaledjobs": {"meta.k8s.io/v1", "PartialObjectMetadata"},
}

func newAPIServer(k *localkube.Kube) *apiServer {
	// A later life has higher versions, so that a watch from before is known to be too old.
	now := time.Now().UnixMilli()
	return &apiServer{
		kube: k, born: now, version: now, objects: make(map[string]shown), units: make(map[string]map[string]bool), leases: make(map[string]*coordinationv1.Lease), moved: make(chan struct{}),
	}
}

// run serves until ctx ends.
func (s *apiServer) run(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	for resource := range kindOf {
		for _, group := range []string{"/api/v1", "/apis/batch/v1", "/apis/keda.sh/v1alpha1"} {
			path := group + "/namespaces/{namespace}/" + resource
			mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.listOrWatch(w, r, resource) })
			mux.HandleFunc("GET "+path+"/{name}", func(w http.ResponseWriter, r *http.Request) { s.get(w, r, resource) })
		}
	}
	mux.HandleFunc("GET /api/v1/namespaces/kube-system", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, corev1.Namespace{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "chaos"},
		})
	})
	s.serveLeases(mux)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	go func() { _ = s.kube.Watch(ctx, s.look) }()
	return srv.Serve(l)
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // whoever asked may have gone
}

func refuse(w http.ResponseWriter, code int32, reason metav1.StatusReason, name string) {
	reply(w, int(code), metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: code, Reason: reason,
		Message: string(reason) + " " + name, Details: &metav1.StatusDetails{Name: name},
	})
}

// refresh shows what there is now. Whoever waited for another's that began after he came has what he wants: if each
// looked at everything himself, askers that give up and come again would let nobody through, nor a Lease.
func (s *apiServer) refresh() {
	came := s.refreshed.Load()
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	if s.refreshed.Load() > came {
		return
	}
	s.refreshed.Add(1)
	for _, j := range s.kube.Jobs() {
		s.look(j.Namespace, j.Name, string(j.UID))
	}
	s.mu.Lock()
	var known []metav1.Object
	for _, o := range s.objects {
		if o.resource == "jobs" {
			known = append(known, o.object)
		}
	}
	s.mu.Unlock()
	for _, j := range known { // those that went, too
		s.look(j.GetNamespace(), j.GetName(), string(j.GetUID()))
	}
}

// look shows what there is of one unit. To look at all of them at every change would be slower than the changes come.
func (s *apiServer) look(namespace, name, uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, now := len(s.history), make(map[string]bool)
	job, pods, err := s.kube.Unit(context.Background(), namespace, name, uid, true)
	if err != nil {
		return
	}
	if job != nil {
		job.TypeMeta = metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}
		now["jobs/"+job.Name] = true
		s.show("jobs", job)
	}
	for _, p := range pods {
		p.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
		now["pods/"+p.Name] = true
		s.show("pods", p)
	}
	for key := range s.units[uid] {
		if !now[key] {
			o := s.objects[key]
			delete(s.objects, key)
			s.record("DELETED", o.resource, o.object)
		}
	}
	if s.units[uid] = now; len(now) == 0 {
		delete(s.units, uid)
	}
	if len(s.history) > before {
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// show needs the lock. It takes note of an object that is not as it was.
func (s *apiServer) show(resource string, o metav1.Object) {
	was, known := s.objects[resource+"/"+o.GetName()]
	kind := "ADDED"
	if known {
		o.SetResourceVersion(was.object.GetResourceVersion())
		if reflect.DeepEqual(o, was.object) {
			return
		}
		kind = "MODIFIED"
	}
	s.objects[resource+"/"+o.GetName()] = s.record(kind, resource, o)
}

func (s *apiServer) record(kind, resource string, o metav1.Object) shown {
	s.version++
	o = copyOf(o)
	o.SetResourceVersion(strconv.FormatInt(s.version, 10))
	one := shown{resource, o, s.version}
	s.history = append(s.history, change{one, kind})
	return one
}

func copyOf(o metav1.Object) metav1.Object {
	switch o := o.(type) {
	case *batchv1.Job:
		return o.DeepCopy()
	case *corev1.Pod:
		return o.DeepCopy()
	}
	panic(fmt.Sprintf("a %T is not shown", o))
}

func (s *apiServer) get(w http.ResponseWriter, r *http.Request, resource string) {
	o, ok := s.find(resource, r.PathValue("name"))
	if !ok {
		s.refresh() // it may be new
	} else if owner, known := s.owner(o); known {
		s.look(owner.GetNamespace(), owner.GetName(), string(owner.GetUID()))
	}
	o, ok = s.find(resource, r.PathValue("name"))
	if !ok || o.object.GetNamespace() != r.PathValue("namespace") {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, r.PathValue("name"))
		return
	}
	reply(w, http.StatusOK, o.object)
}

func (s *apiServer) find(resource, name string) (shown, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[resource+"/"+name]
	return o, ok
}

// owner is the Kubernetes Job that an object is or belongs to, where it is shown.
func (s *apiServer) owner(o shown) (metav1.Object, bool) {
	if o.resource == "jobs" {
		return o.object, true
	}
	job, ok := s.find("jobs", o.object.GetLabels()[contract.LabelUnitName])
	return job.object, ok
}

func (s *apiServer) listOrWatch(w http.ResponseWriter, r *http.Request, resource string) {
	selector, err := labels.Parse(r.FormValue("labelSelector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	ok := func(o shown) bool {
		return o.resource == resource && o.object.GetNamespace() == r.PathValue("namespace") && selector.Matches(labels.Set(o.object.GetLabels()))
	}
	switch {
	case r.FormValue("sendInitialEvents") == "true": // as a server before 1.34
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents")
	case r.FormValue("watch") == "true":
		s.watch(w, r, ok)
	default:
		s.refresh()
		items, version := s.now(ok)
		k := kindOf[resource]
		reply(w, http.StatusOK, map[string]any{
			"apiVersion": k[0], "kind": k[1] + "List", "items": items, "metadata": map[string]string{"resourceVersion": strconv.FormatInt(version, 10)},
		})
	}
}

func (s *apiServer) now(ok func(shown) bool) ([]metav1.Object, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []metav1.Object{}
	for _, o := range s.objects {
		if ok(o) {
			items = append(items, o.object)
		}
	}
	return items, s.version
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request, ok func(shown) bool) {
	from, err := strconv.ParseInt(r.FormValue("resourceVersion"), 10, 64)
	w.Header().Set("Content-Type", "application/json")
	send := func(kind string, o any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": o}) // whoever asked may have gone
		w.(http.Flusher).Flush()
	}
	w.(http.Flusher).Flush()
	if err != nil || from < s.born {
		send("ERROR", metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
			Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "too old resource version",
		})
		return
	}
	for {
		s.mu.Lock()
		changes, version, moved := s.history, s.version, s.moved
		s.mu.Unlock()
		first := sort.Search(len(changes), func(i int) bool { return changes[i].version > from })
		for _, c := range changes[first:] {
			if ok(c.shown) {
				send(c.kind, c.object)
			}
		}
		from = version
		select {
		case <-moved:
		case <-r.Context().Done():
			return
		}
	}
}
