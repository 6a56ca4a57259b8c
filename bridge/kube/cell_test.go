package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"tallyman/contract"
)

// cell is so much of an API server as informers need: list, watch with bookmarks and with a short history,
// and get by name, for Jobs and Pods, in JSON.
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
		objects: map[string]map[string]kubeObject{"jobs": {}, "pods": {}},
		cuts:    make(chan struct{}), moved: make(chan struct{}), refusals: make(map[string]func(http.ResponseWriter)),
	}
	mux := http.NewServeMux()
	for resource, path := range map[string]string{"jobs": "/apis/batch/v1", "pods": "/api/v1"} {
		mux.HandleFunc("GET "+path+"/namespaces/{namespace}/"+resource, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("watch") == "true" {
				c.serve(w, "watch", resource, func() { c.watch(w, r, resource) })
				return
			}
			c.serve(w, "list", resource, func() { c.list(w, r, resource) })
		})
		mux.HandleFunc("GET "+path+"/namespaces/{namespace}/"+resource+"/{name}", func(w http.ResponseWriter, r *http.Request) {
			c.serve(w, "get", resource, func() { c.get(w, r, resource) })
		})
	}
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
	server, err := Dial(c.kubeconfig())
	if err != nil {
		c.t.Fatal(err)
	}
	return server
}

func resourceOf(o kubeObject) string {
	if _, ok := o.(*batchv1.Job); ok {
		return "jobs"
	}
	return "pods"
}

// put makes or changes objects, each as the next version.
func (c *cell) put(objects ...kubeObject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range objects {
		resource, key := resourceOf(o), o.GetNamespace()+"/"+o.GetName()
		kind := watch.Added
		if c.objects[resource][key] != nil {
			kind = watch.Modified
		}
		c.record(kind, o)
		c.objects[resource][key] = c.history[len(c.history)-1].object
	}
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
	gvk := batchv1.SchemeGroupVersion.WithKind("Job")
	if resourceOf(o) == "pods" {
		gvk = corev1.SchemeGroupVersion.WithKind("Pod")
	}
	o.GetObjectKind().SetGroupVersionKind(gvk)
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

func (c *cell) get(w http.ResponseWriter, r *http.Request, resource string) {
	c.mu.Lock()
	o := c.objects[resource][r.PathValue("namespace")+"/"+r.PathValue("name")]
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
	if err != nil || selector.Empty() {
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
	kind, group := "JobList", "batch/v1"
	if resource == "pods" {
		kind, group = "PodList", "v1"
	}
	answer(w, http.StatusOK, map[string]any{
		"kind": kind, "apiVersion": group, "metadata": map[string]string{"resourceVersion": strconv.Itoa(version)}, "items": items,
	})
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
	meta := metav1.ObjectMeta{ResourceVersion: strconv.Itoa(version), Annotations: annotations}
	if resource == "pods" {
		return &corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, ObjectMeta: meta}
	}
	return &batchv1.Job{TypeMeta: metav1.TypeMeta{Kind: "Job", APIVersion: "batch/v1"}, ObjectMeta: meta}
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
