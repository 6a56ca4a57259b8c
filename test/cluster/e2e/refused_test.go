package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"tallyman/test/cluster"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

const scaledJobsDefinition = "scaledjobs.keda.sh"

// What an install refuses on a real cluster, and what it says. test/chart has every value; here are those that only a
// cluster can tell, and that a refusal leaves nothing behind.
func TestARefusedInstallChangesNothing(t *testing.T) {
	c := cluster.Join(t)
	w := &tallyman{Cluster: c, t: t, namespace: c.Namespace()}
	const bundled, aws = `nats={"bundled":true}`, `aws={"region":"eu-central-1"}`
	for name, row := range map[string]struct {
		sets []string
		want []string
	}{
		"a wrong type": {[]string{`nats={"bundled":1}`, `sqs={"bundled":true}`}, []string{"/nats/bundled", "want boolean"}},
		"a queue without a URL": {[]string{bundled, aws, `queues=[{"name":"a","types":[{"name":"probe"}]}]`},
			[]string{`queues[0].url: queue "a" has none; give the URL of its SQS queue`}},
		"two queues of one name": {[]string{bundled, `sqs={"bundled":true}`, `queues=[{"name":"a","types":[{"name":"probe"}]},{"name":"a","types":[{"name":"probe"}]}]`},
			[]string{`queues[1].name: "a" stands twice`}},
	} {
		t.Run(name, func(t *testing.T) { w.refuses(t, row.sets, row.want...) })
	}
	t.Run("an older KEDA", func(t *testing.T) {
		w.labelDefinition(`"2.19.0"`)
		defer w.labelDefinition("null")
		w.refuses(t, []string{bundled, `sqs={"bundled":true}`}, "KEDA is too old: its ScaledJob is of 2.19.0", "2.20.2 or newer is needed", "upgrade KEDA")
	})
	t.Run("no KEDA", func(t *testing.T) {
		w.withoutKEDA(func() {
			w.refuses(t, []string{bundled, `sqs={"bundled":true}`}, "KEDA is missing: this cluster has no ScaledJob", "install KEDA 2.20.2 or newer first")
		})
	})
	t.Run("and with KEDA back", func(t *testing.T) {
		w := install(t)
		w.becomes(w.submit(quick()), "succeeded", long)
	})
}

// refuses tries an install with either Helm, and looks at what it says and that nothing is there.
func (w *tallyman) refuses(t *testing.T, sets []string, want ...string) {
	t.Helper()
	for _, helm := range []string{"helm3", "helm4"} {
		args := []string{"install", "tallyman", chart, "--namespace", w.namespace}
		for _, set := range sets {
			args = append(args, "--set-json", set)
		}
		out, err := w.Run(helm, args...)
		if err == nil {
			t.Fatalf("%s installs it: %s", helm, out)
		}
		for _, text := range want {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s does not say %q: %v", helm, text, err)
			}
		}
	}
	w.isEmpty()
}

// objectKinds are those of every object that the chart makes, and what is made of them.
const objectKinds = "configmaps,secrets,serviceaccounts,services,persistentvolumeclaims,pods,deployments.apps,statefulsets.apps," +
	"jobs.batch,poddisruptionbudgets.policy,roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io," +
	"networkpolicies.networking.k8s.io,leases.coordination.k8s.io"

// isEmpty holds a namespace to what Kubernetes itself puts there; what is going may take a moment. A volume's claim
// stays after an uninstall, as Helm leaves what a StatefulSet has made.
func (w *tallyman) isEmpty() {
	w.t.Helper()
	w.Eventually(patience, "nothing of an install is there", func(ctx context.Context) error {
		asked := objectKinds
		if _, err := w.definition().Get(ctx, scaledJobsDefinition, metav1.GetOptions{}); err == nil {
			asked += ",scaledjobs.keda.sh,triggerauthentications.keda.sh"
		}
		out, err := w.Run("kubectl", "-n", w.namespace, "get", asked, "--output", "name")
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(strings.Fields(out), func(name string) bool {
			return name == "configmap/kube-root-ca.crt" || name == "serviceaccount/default" ||
				strings.HasPrefix(name, "persistentvolumeclaim/") || strings.HasPrefix(name, "lease.coordination.k8s.io/")
		})
		if len(left) > 0 {
			return fmt.Errorf("there is %v", left)
		}
		system, err := w.Run("kubectl", "-n", "kube-system", "get", "roles,rolebindings", "-l", "app.kubernetes.io/name=tallyman", "--output", "name")
		if err == nil && strings.Contains(system, w.namespace) {
			err = fmt.Errorf("in kube-system there is %s", system)
		}
		return err
	})
}

func (w *tallyman) definition() dynamic.NamespaceableResourceInterface {
	return w.Dynamic().Resource(definitions)
}

// labelDefinition makes KEDA's definition one of another version, as its release labels them.
func (w *tallyman) labelDefinition(version string) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{"app.kubernetes.io/version":%s}}}`, version)
	_, err := w.definition().Patch(w.t.Context(), scaledJobsDefinition, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// withoutKEDA does something while the cluster has no ScaledJobs and no operator, and puts both back.
func (w *tallyman) withoutKEDA(do func()) {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context())
	kept, err := w.definition().Get(ctx, scaledJobsDefinition, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	// Those of tests before this one are going, and KEDA lets them go.
	w.Eventually(2*patience, "no ScaledJob is left", func(ctx context.Context) error {
		list, err := w.Dynamic().Resource(scaledJobs).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("there is %s in %s", list.Items[0].GetName(), list.Items[0].GetNamespace())
		}
		return err
	})
	w.Stop("keda")
	if err := w.definition().Delete(ctx, scaledJobsDefinition, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	defer w.Start("keda")
	defer func() {
		w.gone(scaledJobsDefinition)
		fresh := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": kept.GetAPIVersion(), "kind": kept.GetKind(), "spec": kept.Object["spec"],
			"metadata": map[string]any{"name": kept.GetName(), "annotations": kept.Object["metadata"].(map[string]any)["annotations"]},
		}}
		if _, err := w.definition().Create(ctx, fresh, metav1.CreateOptions{}); err != nil {
			w.t.Error(err)
			return
		}
		// `kubectl wait` fails of a definition that has no conditions yet.
		w.Eventually(patience, "the API server serves ScaledJobs again", func(ctx context.Context) error {
			_, err := w.Dynamic().Resource(scaledJobs).List(ctx, metav1.ListOptions{})
			return err
		})
	}()
	w.gone(scaledJobsDefinition)
	w.Eventually(patience, "the API server serves no ScaledJobs", func(ctx context.Context) error {
		_, err := w.Dynamic().Resource(scaledJobs).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it answers: %v", err)
	})
	do()
}

func (w *tallyman) gone(definition string) {
	w.t.Helper()
	w.Eventually(patience, definition+" is gone", func(ctx context.Context) error {
		_, err := w.definition().Get(ctx, definition, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %v", err)
	})
}
