package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tallyman/test/cluster"
	"tallyman/test/rights"
)

// `kubectl auth can-i`, asked of a real API server as each of an install's accounts, and as somebody who may look.
func TestWhoMayDoWhatWithKubernetes(t *testing.T) {
	c := cluster.Join(t)
	other, foreign := c.Namespace(), c.Namespace()
	w := install(t, fmt.Sprintf(`queues=[{"name":"default","types":[{"name":"probe"}]},
		{"name":"away","namespace":%q,"types":[{"name":"probe"}]}]`, other),
		`viewer.subjects=[{"kind":"Group","name":"support","apiGroup":"rbac.authorization.k8s.io"}]`)
	at := map[rights.Where]string{
		rights.Own: w.namespace, rights.Queue: other, rights.System: "kube-system", rights.Foreign: foreign, rights.Cluster: "",
	}
	for name, who := range w.accounts(other) {
		client := w.as(who)
		allowed := 0
		for _, act := range rights.Kubernetes("tallyman-bridge") {
			may, err := canI(t, client, act, at[act.Where])
			if err != nil {
				t.Fatal(err)
			}
			if may {
				allowed++
			}
			if want := slices.Contains(act.Who, name); may != want {
				t.Errorf("%s: %s %s/%s %s %q in %s: allowed %v, want %v", name, act.Verb, act.Group, act.Resource, act.Subresource, act.Name, act.Where, may, want)
			}
		}
		t.Logf("%-28s may do %d things", name, allowed)
	}
}

// accounts are every account that the install's pods run as, by what they are, and one of a person.
func (w *tallyman) accounts(namespaces ...string) map[string]rest.ImpersonationConfig {
	w.t.Helper()
	all := map[string]rest.ImpersonationConfig{
		rights.Viewer: {UserName: "somebody", Groups: []string{"support", "system:authenticated"}},
	}
	for _, namespace := range append(namespaces, w.namespace) {
		list, err := w.Client().CoreV1().ServiceAccounts(namespace).List(w.t.Context(), metav1.ListOptions{})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, a := range list.Items {
			name := strings.TrimPrefix(a.Name, "tallyman-")
			if name == "default" {
				name += " of " + namespace
			}
			all[name] = rest.ImpersonationConfig{
				UserName: "system:serviceaccount:" + namespace + ":" + a.Name,
				Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
			}
		}
	}
	for _, name := range []string{"api", "scheduler", "bridge", "aggregator", "nats", "sqs", "queue-default", "queue-away"} {
		if _, found := all[name]; !found {
			w.t.Fatalf("no account of %s among %v", name, all)
		}
	}
	return all
}

func (w *tallyman) as(who rest.ImpersonationConfig) kubernetes.Interface {
	w.t.Helper()
	config := rest.CopyConfig(w.RESTConfig())
	config.Impersonate = who
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

func canI(t *testing.T, client kubernetes.Interface, act rights.Act, namespace string) (bool, error) {
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: act.Verb, Group: act.Group, Resource: act.Resource, Subresource: act.Subresource, Name: act.Name,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
