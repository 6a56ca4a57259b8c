package kube

import (
	"net/http"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
)

func TestAsksPastTheCacheByNameAndUID(t *testing.T) {
	t.Parallel()
	html := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { http.Error(w, "<html>nothing here</html>", code) }
	}
	for name, tc := range map[string]struct {
		job      *batchv1.Job
		resource string // refused, if any
		refuse   func(http.ResponseWriter)
		want     bool   // the Kubernetes Job is there
		fault    string // part of the error
	}{
		"it is there":             {job: job("a", "uid-a"), want: true},
		"it is gone":              {},
		"another has its name":    {job: job("a", "uid-b")},
		"no right to get":         {resource: "get jobs", refuse: forbidden("get", "jobs"), fault: "may not get jobs in namespace jobs"},
		"no right to list":        {job: job("a", "uid-a"), resource: "list pods", refuse: forbidden("list", "pods"), fault: "may not list pods in namespace jobs"},
		"404 of something else":   {resource: "get jobs", refuse: html(http.StatusNotFound), fault: "get jobs in namespace jobs"},
		"the server is out of it": {resource: "get jobs", refuse: html(http.StatusInternalServerError), fault: "get jobs in namespace jobs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, true)
			if tc.job != nil {
				c.put(tc.job)
			}
			c.put(pod("a-1", job("a", "uid-a")), pod("b-1", job("b", "uid-b")))
			if tc.refuse != nil {
				verb, resource, _ := strings.Cut(tc.resource, " ")
				c.refuse(verb, resource, tc.refuse)
			}
			got, pods, err := informers(t, c).Unit(t.Context(), "jobs", "a", "uid-a", true)
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) || got != nil {
					t.Errorf("%v, error %v; want an error that names %q", got, err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (got != nil) != tc.want {
				t.Errorf("Kubernetes Job %v, want one: %v", got, tc.want)
			}
			if len(pods) != 1 || pods[0].Name != "a-1" {
				t.Errorf("pods %v, want the unit's one", pods)
			}
		})
	}
}

// Who made a Kubernetes Job is told by its pod template: a copy still names the ScaledJob as its owner, and
// kubectl writes on those of KEDA too.
func TestACopyIsNotKEDAs(t *testing.T) {
	t.Parallel()
	template, suspend := `{"f:spec":{"f:parallelism":{},"f:template":{"f:spec":{}}}}`, `{"f:spec":{"f:suspend":{}}}`
	by := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	status := by("kube-controller-manager", "status", `{"f:status":{"f:active":{}}}`)
	for name, tc := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		owners int
	}{
		"KEDA's":                  {[]metav1.ManagedFieldsEntry{by("keda", "", template), status}, 1},
		"KEDA's, edited":          {[]metav1.ManagedFieldsEntry{by("keda", "", template), by("kubectl-edit", "", suspend), status}, 1},
		"of which nobody knows":   {nil, 1},
		"a copy, created":         {[]metav1.ManagedFieldsEntry{by("kubectl-create", "", template), status}, 0},
		"a copy, applied":         {[]metav1.ManagedFieldsEntry{by("kubectl-client-side-apply", "", template), status}, 0},
		"without fields":          {[]metav1.ManagedFieldsEntry{{Manager: "kubectl-create"}}, 1},
		"a status set by kubectl": {[]metav1.ManagedFieldsEntry{by("keda", "", template), by("kubectl", "status", template)}, 1},
	} {
		j := job("a", "uid-a")
		j.OwnerReferences, j.ManagedFields = []metav1.OwnerReference{{Kind: contract.KindScaledJob}}, tc.fields
		if stripJob(j); len(j.OwnerReferences) != tc.owners {
			t.Errorf("%s: owners %v, want %d", name, j.OwnerReferences, tc.owners)
		}
	}
}

func TestSaysWhichKubernetesAnswers(t *testing.T) {
	t.Parallel()
	c := newCell(t, true)
	server := c.dial()
	if says, err := server.Version(t.Context()); says != "v1.36.3" || err != nil {
		t.Errorf("%q, %v", says, err)
	}
	c.refuse("get", "version", forbidden("get", "version"))
	if says, err := server.Version(t.Context()); says != "it does not tell" || err != nil {
		t.Errorf("where nobody may ask for it: %q, %v", says, err)
	}
	c.refuse("get", "version", func(w http.ResponseWriter) { http.Error(w, "<html>", http.StatusBadGateway) })
	if says, err := server.Version(t.Context()); err == nil {
		t.Errorf("of a proxy that answers for it: %q", says)
	}
}

func TestStripKeepsWhatIsRead(t *testing.T) {
	t.Parallel()
	j := job("a", "uid-a")
	p := pod("a-1", j)
	j.OwnerReferences = []metav1.OwnerReference{{Kind: "Other"}, {Kind: contract.KindScaledJob, Name: "processor-default", UID: "x"}}
	for _, o := range []kubeObject{j, p} {
		if _, err := strip(o); err != nil {
			t.Fatal(err)
		}
		if o.GetManagedFields() != nil {
			t.Errorf("%T keeps managedFields", o)
		}
	}
	if len(j.Annotations) != 1 || j.Annotations[contract.AnnotationQueue] != "default" || j.Spec.BackoffLimit != nil {
		t.Errorf("Kubernetes Job %+v", j)
	}
	if len(j.OwnerReferences) != 1 || j.OwnerReferences[0].Kind != contract.KindScaledJob || j.OwnerReferences[0].Name != "" {
		t.Errorf("who made it: %+v", j.OwnerReferences)
	}
	if p.Spec.NodeName != "node-1" || p.Spec.Containers != nil || p.Labels[contract.LabelUnit] != "uid-a" {
		t.Errorf("pod %+v", p)
	}
}
