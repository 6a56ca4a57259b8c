package chart

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	table "tallyman/test/rights"
)

// The Roles say what the table says, and nothing else; test/cluster/e2e asks a real API server by the same table.
func TestRolesAreTheTable(t *testing.T) {
	t.Parallel()
	objects := render(t, "helm3", "-f", "testdata/values/teams.yaml")
	at := map[table.Where]string{
		table.Own: namespace, table.Queue: "video", table.System: "kube-system", table.Foreign: "default", table.Cluster: "",
	}
	subjects := map[string]string{table.Bridge: "r-tallyman-bridge", table.Viewer: "support"}
	for _, act := range table.Kubernetes("r-tallyman-bridge") {
		for who, subject := range subjects {
			if got, want := roleAllows(objects, subject, at[act.Where], act), slices.Contains(act.Who, who); got != want {
				t.Errorf("%s: %+v: allowed %v, want %v", who, act, got, want)
			}
		}
	}
	for _, b := range all[*rbacv1.RoleBinding](objects) {
		for _, s := range b.Subjects {
			if s.Name != subjects[table.Bridge] && s.Name != subjects[table.Viewer] {
				t.Errorf("%s gives rights to %s, who is not in the table", b.Name, s.Name)
			}
		}
	}
}

// roleAllows follows a subject's RoleBindings in a namespace, as the API server does.
func roleAllows(objects []*object, subject, namespace string, act table.Act) bool {
	for _, b := range all[*rbacv1.RoleBinding](objects) {
		bound := slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool { return s.Name == subject })
		if !bound || b.Namespace != namespace {
			continue
		}
		for _, r := range all[*rbacv1.Role](objects) {
			if r.Name == b.RoleRef.Name && r.Namespace == namespace && slices.ContainsFunc(r.Rules, func(rule rbacv1.PolicyRule) bool { return ruleAllows(rule, act) }) {
				return true
			}
		}
	}
	return false
}

func ruleAllows(r rbacv1.PolicyRule, act table.Act) bool {
	resource := act.Resource
	if act.Subresource != "" {
		resource += "/" + act.Subresource
	}
	has := func(list []string, word string) bool {
		return slices.Contains(list, word) || slices.Contains(list, "*")
	}
	return has(r.Verbs, act.Verb) && has(r.APIGroups, act.Group) && has(r.Resources, resource) &&
		(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, act.Name))
}
