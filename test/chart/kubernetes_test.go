package chart

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// fakeKubernetes stands in for an API server where the test is of what its clients ask: discovery, objects that
// were put there, and nothing else. A cluster's own behaviour is for test/cluster to show.
type fakeKubernetes struct {
	server *httptest.Server
	mu     sync.Mutex
	tree   map[string]any // by path
	groups map[string][]resource
}

type resource struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Namespaced bool     `json:"namespaced"`
	Verbs      []string `json:"verbs"`
}

func of(namespaced bool, kinds ...string) (list []resource) {
	for _, k := range kinds {
		plural := strings.ToLower(k) + "s"
		if strings.HasSuffix(plural, "ys") {
			plural = strings.TrimSuffix(plural, "ys") + "ies"
		}
		list = append(list, resource{plural, k, namespaced, []string{"get", "list", "watch", "create", "update", "patch", "delete"}})
	}
	return list
}

func newFakeKubernetes(t *testing.T) *fakeKubernetes {
	t.Helper()
	k := &fakeKubernetes{tree: make(map[string]any), groups: map[string][]resource{
		"v1":                           append(of(true, "Pod", "Service", "Secret", "ConfigMap", "ServiceAccount", "Event"), of(false, "Namespace")...),
		"apps/v1":                      of(true, "Deployment", "StatefulSet"),
		"batch/v1":                     of(true, "Job"),
		"policy/v1":                    of(true, "PodDisruptionBudget"),
		"networking.k8s.io/v1":         of(true, "NetworkPolicy"),
		"rbac.authorization.k8s.io/v1": of(true, "Role", "RoleBinding"),
		"coordination.k8s.io/v1":       of(true, "Lease"),
		"apiextensions.k8s.io/v1":      of(false, "CustomResourceDefinition"),
		"apiregistration.k8s.io/v1":    of(false, "APIService"),
		"keda.sh/v1alpha1":             of(true, "ScaledJob", "TriggerAuthentication"),
	}}
	k.put("/api/v1/namespaces/kube-system", map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "kube-system", "uid": "7d3b0a52-0000-0000-0000-000000000001"},
	})
	k.server = httptest.NewServer(k)
	t.Cleanup(func() {
		k.server.CloseClientConnections() // watches never end by themselves
		k.server.Close()
	})
	return k
}

func (k *fakeKubernetes) put(path string, o any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tree[path] = o
}

func (k *fakeKubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/version":
		k.answer(w, http.StatusOK, map[string]any{"major": "1", "minor": "36", "gitVersion": "v" + kubeVersion})
	case path == "/api":
		k.answer(w, http.StatusOK, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case path == "/apis":
		k.answer(w, http.StatusOK, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": k.list()})
	case k.groups[groupOf(path)] != nil && path == prefixOf(groupOf(path)):
		k.answer(w, http.StatusOK, map[string]any{
			"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": groupOf(path), "resources": k.groups[groupOf(path)],
		})
	case r.Method == http.MethodPost, r.Method == http.MethodPut:
		k.write(w, r, path)
	default:
		k.read(w, r, path)
	}
}

func groupOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if parts[0] == "api" && len(parts) > 1 {
		return parts[1]
	}
	if parts[0] == "apis" && len(parts) > 2 {
		return parts[1] + "/" + parts[2]
	}
	return ""
}

func prefixOf(group string) string {
	if strings.Contains(group, "/") {
		return "/apis/" + group
	}
	return "/api/" + group
}

func (k *fakeKubernetes) list() (groups []any) {
	for gv := range k.groups {
		if name, version, ok := strings.Cut(gv, "/"); ok {
			v := map[string]string{"groupVersion": gv, "version": version}
			groups = append(groups, map[string]any{"name": name, "versions": []any{v}, "preferredVersion": v})
		}
	}
	return groups
}

// write keeps an object under its name.
func (k *fakeKubernetes) write(w http.ResponseWriter, r *http.Request, path string) {
	var o map[string]any
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		k.answer(w, http.StatusBadRequest, map[string]any{"kind": "Status", "apiVersion": "v1", "message": err.Error()})
		return
	}
	name, _ := o["metadata"].(map[string]any)["name"].(string)
	if r.Method == http.MethodPost {
		path += "/" + name
	}
	k.put(path, o)
	k.answer(w, http.StatusOK, o)
}

// read gives an object, or an empty list, or a watch in which nothing happens.
func (k *fakeKubernetes) read(w http.ResponseWriter, r *http.Request, path string) {
	k.mu.Lock()
	o, ok := k.tree[path]
	k.mu.Unlock()
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	for gv, resources := range k.groups {
		for _, res := range resources {
			if res.Name != last || gv != groupOf(path) {
				continue
			}
			if r.URL.Query().Get("watch") != "" {
				k.watch(w, r, gv, res)
				return
			}
			k.answer(w, http.StatusOK, map[string]any{
				"apiVersion": gv, "kind": res.Kind + "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{},
			})
			return
		}
	}
	if ok {
		k.answer(w, http.StatusOK, o)
		return
	}
	k.answer(w, http.StatusNotFound, map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound,
		"message": path + " not found", "details": map[string]any{"name": last},
	})
}

func (k *fakeKubernetes) watch(w http.ResponseWriter, r *http.Request, gv string, res resource) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("sendInitialEvents") == "true" { // a list in the form of a watch, which this bookmark ends
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
			"apiVersion": gv, "kind": res.Kind,
			"metadata": map[string]any{"resourceVersion": "1", "annotations": map[string]any{"k8s.io/initial-events-end": "true"}},
		}})
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	<-r.Context().Done()
}

func (k *fakeKubernetes) answer(w http.ResponseWriter, code int, o any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(o) // who hung up gets nothing
}

// kubeconfig gives a file that names the server.
func (k *fakeKubernetes) kubeconfig(t *testing.T) string {
	t.Helper()
	b, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "fake",
		"clusters": []any{map[string]any{"name": "fake", "cluster": map[string]any{"server": k.server.URL}}},
		"contexts": []any{map[string]any{"name": "fake", "context": map[string]any{"cluster": "fake", "user": "fake"}}},
		"users":    []any{map[string]any{"name": "fake", "user": map[string]any{}}},
	})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// secret puts a Secret of the release there.
func (k *fakeKubernetes) secret(name string, data map[string]string) {
	encoded := make(map[string]any)
	for key, value := range data {
		encoded[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	k.put("/api/v1/namespaces/"+namespace+"/secrets/"+name, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "data": encoded,
		"metadata": map[string]any{
			"name": name, "namespace": namespace, "labels": map[string]any{"app.kubernetes.io/managed-by": "Helm"},
			"annotations": map[string]any{"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace},
		},
	})
}
