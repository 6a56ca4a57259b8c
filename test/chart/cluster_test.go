package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// against is an install up to the point where it would change something: Helm asks the cluster what there is.
func against(t *testing.T, helm string, k *fakeKubernetes, flags ...string) (string, error) {
	t.Helper()
	out, err := run(t, helm, append([]string{
		"install", release, chartDir, "--namespace", namespace, "--dry-run=server", "--kubeconfig", k.kubeconfig(t),
		"--set", "nats.bundled=true,sqs.bundled=true", "--disable-openapi-validation", "--output", "json",
	}, flags...)...)
	if err != nil {
		return "", err
	}
	var installed struct{ Manifest string }
	if err := json.Unmarshal([]byte(out), &installed); err != nil {
		t.Fatalf("%v in %.200s", err, out)
	}
	return installed.Manifest, nil
}

const crdPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledjobs.keda.sh"

// crd puts KEDA's own there, with a change.
func (k *fakeKubernetes) crd(t *testing.T, change func(crd map[string]any)) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(module(t, "github.com/kedacore/keda/v2@v2.21.0"), "config/crd/bases/keda.sh_scaledjobs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd map[string]any
	if err := yaml.Unmarshal(b, &crd); err != nil {
		t.Fatal(err)
	}
	change(crd)
	k.put(crdPath, crd)
}

func labelled(version string) func(map[string]any) {
	return func(crd map[string]any) {
		crd["metadata"].(map[string]any)["labels"] = map[string]any{"app.kubernetes.io/version": version}
	}
}

// withoutStrategies makes the CRD one from before 2.20.2, which did not say what a strategy may be.
func withoutStrategies(crd map[string]any) {
	at := crd["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any)
	for _, key := range []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", "scalingStrategy", "properties", "strategy"} {
		at = at[key].(map[string]any)
	}
	delete(at, "enum")
}

func TestKEDAIsLookedAt(t *testing.T) {
	t.Parallel()
	table := []struct {
		name   string
		change func(t *testing.T, k *fakeKubernetes)
		flags  string
		want   string // "": it is installed
	}{
		{"as it must be", func(t *testing.T, k *fakeKubernetes) { k.crd(t, func(map[string]any) {}) }, "", ""},
		{"as it must be, and says so", func(t *testing.T, k *fakeKubernetes) { k.crd(t, labelled("2.20.2")) }, "", ""},
		{"missing", func(_ *testing.T, k *fakeKubernetes) { delete(k.groups, "keda.sh/v1alpha1") }, "", "KEDA is missing: this cluster has no ScaledJob (keda.sh/v1alpha1); install KEDA 2.20.2 or newer first"},
		{"old, and says so", func(t *testing.T, k *fakeKubernetes) { k.crd(t, labelled("v2.19.0")) }, "", "KEDA is too old: its ScaledJob is of 2.19.0, 2.20.2 or newer is needed"},
		{"old", func(t *testing.T, k *fakeKubernetes) { k.crd(t, withoutStrategies) }, "", "KEDA is too old: its ScaledJob is of before 2.20.2"},
		{"old, and nobody is to look", func(t *testing.T, k *fakeKubernetes) { k.crd(t, withoutStrategies) }, "keda.check=false", ""},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			k := newFakeKubernetes(t)
			row.change(t, k)
			for _, helm := range helms {
				_, err := against(t, helm, k, "--set", row.flags)
				if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
					t.Errorf("%s: %v, want %q", helm, err, row.want)
				}
			}
		})
	}
}

// An upgrade derives the same passwords, since it finds the seed that the install has made.
func TestPasswordsAreKept(t *testing.T) {
	t.Parallel()
	for _, helm := range helms {
		k := newFakeKubernetes(t)
		k.crd(t, func(map[string]any) {})
		render := func() map[string]string {
			out, err := against(t, helm, k)
			if err != nil {
				t.Fatal(err)
			}
			found := make(map[string]string)
			for _, s := range all[*corev1.Secret](decode(t, out)) {
				for key, value := range s.Data {
					found[s.Name+"/"+key] = string(value)
				}
			}
			return found
		}
		first, other := render(), render()
		const seedKey, apiKey = "r-tallyman-nats-seed/seed", "r-tallyman-nats-api/credentials"
		if len(first[seedKey]) != 48 || first[seedKey] == other[seedKey] || first[apiKey] == other[apiKey] {
			t.Errorf("%s: two installs share a seed: %q, %q", helm, first[seedKey], other[seedKey])
		}
		if !strings.Contains(first["r-tallyman-nats/nats.conf"], strings.TrimSpace(strings.TrimPrefix(first[apiKey], "api:"))) {
			t.Errorf("%s: the server does not know the api's password", helm)
		}
		k.secret("r-tallyman-nats-seed", map[string]string{"seed": first[seedKey]})
		again := render()
		for key, value := range first {
			if again[key] != value {
				t.Errorf("%s: an upgrade changes %s", helm, key)
			}
		}
	}
}
