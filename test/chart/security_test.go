package chart

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// Every pod of every set passes the profile `restricted`, judged by the code that a cluster judges by.
func TestPodSecurityRestricted(t *testing.T) {
	t.Parallel()
	latest := api.LatestVersion()
	judge, err := policy.NewEvaluator(policy.DefaultChecks(), &latest)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: latest}
	for _, set := range sets(t) {
		for name, p := range pods(render(t, "helm3", "-f", set)) {
			for _, r := range judge.EvaluatePod(level, &p.ObjectMeta, &p.Spec) {
				if !r.Allowed {
					t.Errorf("%s: %s: %s: %s", set, name, r.ForbiddenReason, r.ForbiddenDetail)
				}
			}
		}
	}
}

var tagged = regexp.MustCompile(`:[^/:@]+(@sha256:[0-9a-f]{64})?$|@sha256:[0-9a-f]{64}$`)

// What every pod has, whoever it is.
func TestEveryPod(t *testing.T) {
	t.Parallel()
	for _, set := range sets(t) {
		for name, p := range pods(render(t, "helm3", "-f", set)) {
			bad := func(format string, args ...any) {
				t.Helper()
				t.Errorf("%s: %s: "+format, append([]any{set, name}, args...)...)
			}
			if p.Spec.EnableServiceLinks == nil || *p.Spec.EnableServiceLinks {
				bad("a Service named tallyman would set variables that look like ours")
			}
			bridge := strings.HasSuffix(name, "-bridge")
			if p.Spec.AutomountServiceAccountToken == nil || *p.Spec.AutomountServiceAccountToken != bridge {
				bad("only the bridge speaks to Kubernetes")
			}
			for _, c := range containers(p) {
				for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
					if c.Resources.Requests.Name(r, "").IsZero() {
						bad("%s requests no %s", c.Name, r)
					}
					if r != corev1.ResourceCPU && c.Resources.Limits.Name(r, "").IsZero() {
						bad("%s has no limit of %s", c.Name, r)
					}
				}
				if !tagged.MatchString(c.Image) || strings.Contains(c.Image, ":latest") {
					bad("image %s", c.Image)
				}
				if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
					bad("%s may write to its image", c.Name)
				}
				if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/tmp" }) && !slices.Contains([]string{"install", "test", "doctor"}, c.Name) {
					bad("%s has no /tmp of its own", c.Name)
				}
			}
			for _, v := range p.Spec.Volumes {
				if v.EmptyDir != nil && v.EmptyDir.SizeLimit.IsZero() {
					bad("volume %s may fill the node", v.Name)
				}
			}
		}
	}
}

// No secret is an argument, nor in the environment but for the keys of an SQS without IAM, which the work does
// not inherit; nor in anything but a Secret.
func TestNoSecretInTheOpen(t *testing.T) {
	t.Parallel()
	for _, set := range sets(t) {
		objects := render(t, "helm3", "-f", set)
		for name, p := range pods(objects) {
			for _, c := range containers(p) {
				for _, e := range c.Env {
					if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && !strings.HasPrefix(e.Name, "AWS_") && e.Name != "LICENCE" {
						t.Errorf("%s: %s: %s comes from a Secret", set, name, e.Name)
					}
				}
			}
		}
		var secrets []string
		for _, s := range all[*corev1.Secret](objects) {
			for _, v := range s.Data {
				if _, password, ok := strings.Cut(strings.TrimSpace(string(v)), ":"); ok && len(password) == 64 {
					secrets = append(secrets, password)
				}
			}
		}
		for _, o := range objects {
			if o.Kind == "Secret" {
				continue
			}
			text := plain(t, []*object{o})
			for _, s := range append(secrets, seed) {
				if strings.Contains(text, s) {
					t.Errorf("%s: %s shows a password", set, o)
				}
			}
		}
		if len(secrets) == 0 && strings.Contains(set, "try") {
			t.Error("no password was found: this test looks for the wrong thing")
		}
	}
}

// `kubectl auth can-i`, as a table: who may do what in which namespace. There is no ClusterRole, and whoever is
// not in the table has no rights at all.
func TestRights(t *testing.T) {
	t.Parallel()
	objects := render(t, "helm3", "-f", "testdata/values/teams.yaml")
	read := []string{"get", "list", "watch"}
	bridge := []rbacv1.PolicyRule{ // what bridge/kube/source.go says that it needs
		{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"pods", "events"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"keda.sh"}, Resources: []string{"scaledjobs"}, Verbs: []string{"list", "watch"}},
	}
	const asBridge = " ServiceAccount r-tallyman-bridge"
	leases, group := []string{"leases"}, []string{"coordination.k8s.io"}
	viewer := []rbacv1.PolicyRule{
		{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"pods", "pods/log", "events"}, Verbs: read},
		{APIGroups: []string{"keda.sh"}, Resources: []string{"scaledjobs"}, Verbs: read},
	}
	want := make(map[string][]rbacv1.PolicyRule)
	for _, ns := range []string{namespace, "video", "reports"} {
		want[ns+asBridge] = bridge
		want[ns+" Group support"] = viewer
	}
	// Its Lease is all that it writes; the UID of kube-system tells it which cluster this is.
	want[namespace+asBridge] = append([]rbacv1.PolicyRule{
		{APIGroups: group, Resources: leases, Verbs: []string{"create"}},
		{APIGroups: group, Resources: leases, ResourceNames: []string{"r-tallyman-bridge"}, Verbs: []string{"get", "update"}},
	}, bridge...)
	want["kube-system"+asBridge] = []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, ResourceNames: []string{"kube-system"}, Verbs: []string{"get"}},
	}
	rules := make(map[string][]rbacv1.PolicyRule)
	for _, r := range all[*rbacv1.Role](objects) {
		rules[r.Namespace+"/"+r.Name] = r.Rules
	}
	got := make(map[string][]rbacv1.PolicyRule)
	bindings := all[*rbacv1.RoleBinding](objects)
	slices.SortFunc(bindings, func(a, b *rbacv1.RoleBinding) int { return -strings.Compare(a.Name, b.Name) })
	for _, b := range bindings {
		for _, s := range b.Subjects {
			key := b.Namespace + " " + s.Kind + " " + s.Name
			got[key] = append(got[key], rules[b.Namespace+"/"+b.RoleRef.Name]...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, o := range objects {
		if strings.HasPrefix(o.Kind, "ClusterRole") {
			t.Errorf("%s: rights in every namespace", o)
		}
	}
}

// Every pod has an account of its own, and no two kinds of pods share one.
func TestOneServiceAccountEach(t *testing.T) {
	t.Parallel()
	objects := render(t, "helm3", "-f", "testdata/values/try.yaml")
	seen := make(map[string]string)
	for name, p := range pods(objects) {
		if strings.HasPrefix(name, "Pod ") {
			continue // the test, which uses none
		}
		sa := p.Spec.ServiceAccountName
		if other, taken := seen[sa]; taken || sa == "" || sa == "default" {
			t.Errorf("%s runs as %q, as does %q", name, sa, other)
		}
		seen[sa] = name
		one[*corev1.ServiceAccount](t, objects, sa)
	}
}

// Every pod is under a NetworkPolicy for both directions, and who asks NATS and SQS is let in there.
func TestEveryPodIsUnderAPolicy(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"try", "aws", "teams", "endpoint", "pinned"} {
		objects := render(t, "helm3", "-f", "testdata/values/"+set+".yaml")
		for name, p := range pods(objects) {
			if strings.HasPrefix(name, "Pod ") {
				continue
			}
			n := 0
			for _, np := range all[*networkingv1.NetworkPolicy](objects) {
				if selects(t, &np.Spec.PodSelector, p.Labels) {
					n++
					if len(np.Spec.PolicyTypes) != 2 {
						t.Errorf("%s: %s has policies for %v", set, np.Name, np.Spec.PolicyTypes)
					}
				}
			}
			if n != 1 {
				t.Errorf("%s: %s is under %d policies", set, name, n)
			}
		}
	}
}

// `egress: []` closes a queue's pods: what remains is DNS, NATS and SQS.
func TestEgressCanBeClosed(t *testing.T) {
	t.Parallel()
	objects := render(t, "helm3", "-f", "testdata/values/teams.yaml")
	for _, np := range all[*networkingv1.NetworkPolicy](objects) {
		rules := np.Spec.Egress
		switch np.Namespace {
		case "video":
			if len(rules) != 3 || rules[0].Ports[0].Port.IntValue() != 53 || rules[1].Ports[0].Port.IntValue() != 4222 || rules[2].Ports[0].Port.IntValue() != 9324 {
				t.Errorf("%+v", rules)
			}
		case "reports":
			open := rules[len(rules)-1]
			if len(rules) != 4 || !slices.Contains(open.To[0].IPBlock.Except, "169.254.169.254/32") {
				t.Errorf("work may ask the metadata service for the node's rights: %+v", open)
			}
		}
	}
}

func selects(t *testing.T, s *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(set))
}

// The four components end in order, are spread, and are never all evicted at once.
func TestComponentsAreHeldTogether(t *testing.T) {
	t.Parallel()
	objects := render(t, "helm3", "-f", "testdata/values/try.yaml")
	deployments := all[*appsv1.Deployment](objects)
	if len(deployments) != 4 {
		t.Fatalf("%d Deployments", len(deployments))
	}
	for _, d := range deployments {
		spec := d.Spec.Template.Spec
		c := spec.Containers[0]
		// internal/service ends within 25 s; before that it hears for some seconds that nobody sends any more.
		if *spec.TerminationGracePeriodSeconds < 25+c.Lifecycle.PreStop.Sleep.Seconds {
			t.Errorf("%s is killed before it has ended", d.Name)
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Port.StrVal != "admin" {
				t.Errorf("%s: %+v", d.Name, probe)
			}
		}
		if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
			t.Errorf("%s is alive by %s and ready by %s", d.Name, c.LivenessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path)
		}
		if *d.Spec.Replicas < 2 || len(spec.TopologySpreadConstraints) != 2 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
			t.Errorf("%s: %d replicas, spread by %v", d.Name, *d.Spec.Replicas, spec.TopologySpreadConstraints)
		}
		for _, s := range spec.TopologySpreadConstraints {
			if !selects(t, s.LabelSelector, d.Spec.Template.Labels) {
				t.Errorf("%s is spread by others' labels", d.Name)
			}
		}
		pdb := one[*policyv1.PodDisruptionBudget](t, objects, d.Name)
		if !selects(t, pdb.Spec.Selector, d.Spec.Template.Labels) || pdb.Spec.MaxUnavailable.IntValue() != 1 {
			t.Errorf("%s: %+v", d.Name, pdb.Spec)
		}
	}
}
