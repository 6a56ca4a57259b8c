package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"tallyman/contract"
)

// cell is so much of an API server as the bridge needs, in JSON: list, watch with bookmarks and with a short
// history, get by name, and compare-and-set of a Lease.
type cell struct {
	t       *testing.T
	url     string
	streams bool // it sends the first list as a watch, as servers do since 1.34; older ones refuse that

	mu       sync.Mutex
	version  int
	objects  map[string]map[string]kubeObject // by resource, by namespace/name
	history  []change
	forgot   int            // no watch may begin before this version
	cuts     chan struct{}  // closed to end every watch
	moved    chan struct{}  // closed when watches have something to send
	asleep   bool           // nothing is sent
	asked    map[string]int // by "verb resource"
	refusals map[string]func(w http.ResponseWriter)
	log      lines // of those who dialled it
}

// kubeObject is what Jobs and Pods have in common.
type kubeObject interface {
	metav1.Object
	runtime.Object
}

// change is one event of the history.
type change struct {
	version  int
	resource string
	kind     watch.EventType
	object   kubeObject
}

func newCell(t *testing.T, streams bool) *cell {
	t.Helper()
	c := &cell{
		t: t, streams: streams, version: 1, asked: make(map[string]int),
		objects: make(map[string]map[string]kubeObject),
		cuts:    make(chan struct{}), moved: make(chan struct{}), refusals: make(map[string]func(http.ResponseWriter)),
	}
	mux := http.NewServeMux()
	for resource, k := range kinds {
		c.objects[resource] = make(map[string]kubeObject)
		path := k.path + "/namespaces/{namespace}/" + resource
		if resource == "namespaces" {
			path = k.path + "/namespaces"
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("watch") == "true" {
				c.serve(w, "watch", resource, func() { c.watch(w, r, resource) })
				return
			}
			c.serve(w, "list", resource, func() { c.list(w, r, resource) })
		})
		mux.HandleFunc("GET "+path+"/{name}", func(w http.ResponseWriter, r *http.Request) {
			c.serve(w, "get", resource, func() { c.get(w, r, resource) })
		})
	}
	leases := kinds["leases"].path + "/namespaces/{namespace}/leases"
	mux.HandleFunc("POST "+leases, func(w http.ResponseWriter, r *http.Request) {
		c.serve(w, "create", "leases", func() { c.create(w, r) })
	})
	mux.HandleFunc("PUT "+leases+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		c.serve(w, "update", "leases", func() { c.update(w, r) })
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		c.serve(w, "get", "version", func() { answer(w, http.StatusOK, map[string]string{"gitVersion": "v1.36.3"}) })
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		c.cut()
		srv.CloseClientConnections()
		srv.Close()
	})
	c.url = srv.URL
	return c
}

// kubeconfig is a file that names the cell.
func (c *cell) kubeconfig() string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"cell",
"clusters":[{"name":"cell","cluster":{"server":%q}}],"users":[{"name":"bridge","user":{}}],
"contexts":[{"name":"cell","context":{"cluster":"cell","user":"bridge"}}]}`, c.url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *cell) dial() *Server {
	c.t.Helper()
	server, err := Dial(c.kubeconfig(), slog.New(slog.NewTextHandler(io.MultiWriter(c.t.Output(), &c.log), nil)))
	if err != nil {
		c.t.Fatal(err)
	}
	return server
}

// kind is how a resource is asked for and called.
type kind struct {
	path  string
	gvk   schema.GroupVersionKind
	empty func() kubeObject
}

var kinds = map[string]kind{
	"jobs":       {"/apis/batch/v1", batchv1.SchemeGroupVersion.WithKind("Job"), func() kubeObject { return &batchv1.Job{} }},
	"pods":       {"/api/v1", corev1.SchemeGroupVersion.WithKind("Pod"), func() kubeObject { return &corev1.Pod{} }},
	"events":     {"/api/v1", corev1.SchemeGroupVersion.WithKind("Event"), func() kubeObject { return &corev1.Event{} }},
	"namespaces": {"/api/v1", corev1.SchemeGroupVersion.WithKind("Namespace"), func() kubeObject { return &corev1.Namespace{} }},
	"leases": {"/apis/coordination.k8s.io/v1", coordinationv1.SchemeGroupVersion.WithKind("Lease"),
		func() kubeObject { return &coordinationv1.Lease{} }},
	"scaledjobs": {"/apis/keda.sh/v1alpha1", scaledJobs.GroupVersion().WithKind("ScaledJob"), func() kubeObject { return &scaledJob{} }},
}

// scaledJob is one as nobody's Go type has it.
type scaledJob = unstructured.Unstructured

func resourceOf(o kubeObject) string {
	for resource, k := range kinds {
		if reflect.TypeOf(k.empty()) == reflect.TypeOf(o) {
			return resource
		}
	}
	panic(fmt.Sprintf("a %T is none of the kinds", o))
}

// put makes or changes objects, each as the next version.
func (c *cell) put(objects ...kubeObject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range objects {
		c.keep(o)
	}
}

// keep records an object as the next version and gives it as it is kept.
func (c *cell) keep(o kubeObject) kubeObject {
	resource, key := resourceOf(o), o.GetNamespace()+"/"+o.GetName()
	kind := watch.Added
	if c.objects[resource][key] != nil {
		kind = watch.Modified
	}
	c.record(kind, o)
	kept := c.history[len(c.history)-1].object
	c.objects[resource][key] = kept
	return kept
}

func (c *cell) remove(o kubeObject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.objects[resourceOf(o)], o.GetNamespace()+"/"+o.GetName())
	c.record(watch.Deleted, o)
}

func (c *cell) record(kind watch.EventType, o kubeObject) {
	c.version++
	o = o.DeepCopyObject().(kubeObject)
	o.SetResourceVersion(strconv.Itoa(c.version))
	o.GetObjectKind().SetGroupVersionKind(kinds[resourceOf(o)].gvk)
	c.history = append(c.history, change{version: c.version, resource: resourceOf(o), kind: kind, object: o})
	if !c.asleep {
		c.wake()
	}
}

func (c *cell) wake() {
	close(c.moved)
	c.moved = make(chan struct{})
}

// cut ends every watch, as a server does every few minutes.
func (c *cell) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.cuts)
	c.cuts = make(chan struct{})
}

// lapse sends nothing of what changes meanwhile, and then forgets its history: every watch gets 410 Gone.
func (c *cell) lapse(changes func()) {
	c.mu.Lock()
	c.asleep = true
	c.mu.Unlock()
	changes()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.asleep, c.history, c.forgot = false, nil, c.version
	c.wake()
}

// refuse lets every request of a verb and resource fail, until it is told nil.
func (c *cell) refuse(verb, resource string, answer func(w http.ResponseWriter)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusals[verb+" "+resource] = answer
}

func (c *cell) count() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.asked)
}

func (c *cell) serve(w http.ResponseWriter, verb, resource string, answer func()) {
	c.mu.Lock()
	c.asked[verb+" "+resource]++
	refused := c.refusals[verb+" "+resource]
	c.mu.Unlock()
	if refused != nil {
		refused(w)
		return
	}
	answer()
}

func status(code int32, reason metav1.StatusReason, message string, details *metav1.StatusDetails) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: code, Reason: reason, Message: message, Details: details,
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the caller may have gone
}

// forbidden answers as an API server does where a right is missing.
func forbidden(verb, resource string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		message := fmt.Sprintf(`%s is forbidden: User "system:serviceaccount:tallyman:bridge" cannot %s resource %q in the namespace "jobs"`, resource, verb, resource)
		answer(w, http.StatusForbidden, status(http.StatusForbidden, metav1.StatusReasonForbidden, message, &metav1.StatusDetails{Kind: resource}))
	}
}

// lines is a log that a test can read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// with counts the lines that hold a text.
func (l *lines) with(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// hangsUp answers as a server that is away, or a network that is cut.
func hangsUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// unauthorized answers as an API server does where a token is not, or no more, good.
func unauthorized(w http.ResponseWriter) {
	answer(w, http.StatusUnauthorized, status(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized", nil))
}

// refuseAll lets every request for the objects of units fail, until it is told nil.
func (c *cell) refuseAll(answer func(w http.ResponseWriter)) {
	for _, resource := range []string{"jobs", "pods", "events", "scaledjobs"} {
		c.refuse("list", resource, answer)
		c.refuse("watch", resource, answer)
	}
	c.refuse("get", "namespaces", answer)
}

// missing answers as an API server does where it does not know the kind.
func missing(w http.ResponseWriter) {
	answer(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound,
		"the server could not find the requested resource", &metav1.StatusDetails{}))
}

func (c *cell) get(w http.ResponseWriter, r *http.Request, resource string) {
	c.mu.Lock()
	o := c.objects[resource][r.PathValue("namespace")+"/"+r.PathValue("name")] // a namespace is in none
	c.mu.Unlock()
	if o == nil {
		name := r.PathValue("name")
		answer(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound,
			fmt.Sprintf("%s %q not found", resource, name), &metav1.StatusDetails{Kind: resource, Name: name}))
		return
	}
	answer(w, http.StatusOK, o)
}

// selected tells which objects of a resource a request asks for.
func (c *cell) selected(r *http.Request, resource string) func(kubeObject) bool {
	selector, err := labels.Parse(r.FormValue("labelSelector"))
	if err != nil || selector.Empty() == (resource == "jobs" || resource == "pods") {
		c.t.Errorf("%s are asked for by the selector %q: %v", resource, r.FormValue("labelSelector"), err)
	}
	return func(o kubeObject) bool {
		return resourceOf(o) == resource && o.GetNamespace() == r.PathValue("namespace") && selector.Matches(labels.Set(o.GetLabels()))
	}
}

// now gives what a request asks for, in the order of names, and the version of the answer.
func (c *cell) now(resource string, ok func(kubeObject) bool) ([]kubeObject, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []kubeObject{}
	for _, key := range slices.Sorted(maps.Keys(c.objects[resource])) {
		if o := c.objects[resource][key]; ok(o) {
			list = append(list, o)
		}
	}
	return list, c.version
}

func (c *cell) list(w http.ResponseWriter, r *http.Request, resource string) {
	items, version := c.now(resource, c.selected(r, resource))
	gvk := kinds[resource].gvk
	answer(w, http.StatusOK, map[string]any{
		"kind": gvk.Kind + "List", "apiVersion": gvk.GroupVersion().String(), "items": items,
		"metadata": map[string]string{"resourceVersion": strconv.Itoa(version)},
	})
}

// create makes a Lease that is not there.
func (c *cell) create(w http.ResponseWriter, r *http.Request) {
	var lease coordinationv1.Lease
	if err := json.NewDecoder(r.Body).Decode(&lease); err != nil {
		c.t.Errorf("a Lease is created by what is none: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.objects["leases"][lease.Namespace+"/"+lease.Name] != nil {
		answer(w, http.StatusConflict, status(http.StatusConflict, metav1.StatusReasonAlreadyExists, "already exists", nil))
		return
	}
	answer(w, http.StatusCreated, c.keep(&lease))
}

// update replaces a Lease at the version that was read.
func (c *cell) update(w http.ResponseWriter, r *http.Request) {
	var lease coordinationv1.Lease
	if err := json.NewDecoder(r.Body).Decode(&lease); err != nil {
		c.t.Errorf("a Lease is updated by what is none: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.objects["leases"][lease.Namespace+"/"+lease.Name]
	if have == nil || have.GetResourceVersion() != lease.ResourceVersion {
		answer(w, http.StatusConflict, status(http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified", nil))
		return
	}
	answer(w, http.StatusOK, c.keep(&lease))
}

func (c *cell) watch(w http.ResponseWriter, r *http.Request, resource string) {
	first := r.FormValue("sendInitialEvents") == "true"
	if first && !c.streams {
		answer(w, http.StatusUnprocessableEntity, status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid,
			"sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled", nil))
		return
	}
	ok := c.selected(r, resource)
	c.mu.Lock()
	cuts := c.cuts
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush() // as a real one does: the watch stands before it has anything to tell
	send := func(kind watch.EventType, o any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": o}) // the caller may have gone
		w.(http.Flusher).Flush()
	}
	from, _ := strconv.Atoi(r.FormValue("resourceVersion"))
	if first {
		items, version := c.now(resource, ok)
		for _, o := range items {
			send(watch.Added, o)
		}
		send(watch.Bookmark, bookmark(resource, version, map[string]string{metav1.InitialEventsAnnotationKey: "true"}))
		from = version
	}
	for {
		events, to, moved := c.since(from, resource, ok)
		if events == nil {
			send(watch.Error, status(http.StatusGone, metav1.StatusReasonExpired, "too old resource version", nil))
			return
		}
		for _, e := range events {
			send(e.kind, e.object)
		}
		if to > from {
			send(watch.Bookmark, bookmark(resource, to, nil))
		}
		from = to
		select {
		case <-moved:
		case <-cuts:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// since gives the events after a version; nil where the history does not reach back so far.
func (c *cell) since(from int, resource string, ok func(kubeObject) bool) ([]change, int, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from < c.forgot {
		return nil, 0, nil
	}
	events := []change{}
	for _, e := range c.history {
		if e.version > from && e.resource == resource && ok(e.object) {
			events = append(events, e)
		}
	}
	return events, c.version, c.moved
}

func bookmark(resource string, version int, annotations map[string]string) any {
	o := kinds[resource].empty()
	o.GetObjectKind().SetGroupVersionKind(kinds[resource].gvk)
	o.SetResourceVersion(strconv.Itoa(version))
	o.SetAnnotations(annotations)
	return o
}

// job and pod are a unit's objects as KEDA and Kubernetes make them.
func job(name, uid string) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "jobs", Name: name, UID: types.UID(uid), Labels: map[string]string{contract.LabelScaledJob: "processor-default"},
		Annotations:   map[string]string{contract.AnnotationQueue: "default", "scaledjob.keda.sh/generation": "2"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "keda"}},
	}, Spec: batchv1.JobSpec{BackoffLimit: new(int32)}}
}

func pod(name string, j *batchv1.Job) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: j.Namespace, Name: name, UID: types.UID("uid-of-" + name), Labels: map[string]string{
			contract.LabelScaledJob: "processor-default", contract.LabelUnit: string(j.UID), contract.LabelUnitName: j.Name,
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
	}, Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "run"}}}}
}
