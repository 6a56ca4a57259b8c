package chart

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yannh/kubeconform/pkg/validator"
	"sigs.k8s.io/yaml"
)

// kubernetes is the module whose OpenAPI document describes every kind; it is read, not built.
const kubernetes = "k8s.io/kubernetes@v" + kubeVersion

// kubeconform holds every object against the schemas of Kubernetes and of KEDA's CRDs, with unknown fields
// refused. They are made from the two Go modules, so nothing is fetched but modules.
func TestKubeconform(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kinds(t, filepath.Join(module(t, kubernetes), "api/openapi-spec/swagger.json"), dir)
	crds(t, filepath.Join(module(t, "github.com/kedacore/keda/v2@v2.21.0"), "config/crd/bases"), dir)
	check, err := validator.New([]string{dir + "/{{.ResourceKind}}{{.KindSuffix}}.json"}, validator.Opts{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets(t) {
		out, err := template(t, "helm4", "-f", set)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range check.Validate(set, io.NopCloser(strings.NewReader(out))) {
			switch r.Status {
			case validator.Valid:
				n++
			case validator.Empty:
			default:
				sig, _ := r.Resource.Signature()
				t.Errorf("%s: %+v: %v", set, sig, r.Err)
			}
		}
		if n < 20 {
			t.Errorf("%s: only %d objects were looked at", set, n)
		}
	}
	// A schema that takes everything would prove nothing.
	const wrong = "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: a}\nspec: {pollingIntervall: 5, jobTargetRef: {template: {}}, triggers: []}\n"
	for _, r := range check.Validate("wrong", io.NopCloser(strings.NewReader(wrong))) {
		if r.Err == nil || !strings.Contains(r.Err.Error(), "pollingIntervall") {
			t.Errorf("a field of nobody was taken: %v", r.Err)
		}
	}
}

// module gives the folder of a module's source.
func module(t *testing.T, path string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path)
	cmd.Dir = os.TempDir() // no go.mod is asked, and none is changed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("download %s: %v%s\n%s", path, err, stderrOf(err), out)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m.Dir
}

// kinds writes a schema for each kind of Kubernetes, as kubeconform looks for it: kind-group-version.json.
func kinds(t *testing.T, swagger, dir string) {
	t.Helper()
	var doc struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	readJSON(t, swagger, &doc)
	shared := map[string]any{}
	for name, def := range doc.Definitions {
		seal(def)
		shared[name] = def
	}
	shared["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "integer"}}}
	shared["io.k8s.apimachinery.pkg.api.resource.Quantity"] = map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "number"}}}
	writeJSON(t, filepath.Join(dir, "_definitions.json"), map[string]any{"definitions": shared})
	for name, def := range doc.Definitions {
		gvks, _ := def["x-kubernetes-group-version-kind"].([]any)
		if len(gvks) != 1 {
			continue // a type that every group has, like DeleteOptions
		}
		gvk := gvks[0].(map[string]any)
		group, _, _ := strings.Cut(gvk["group"].(string), ".")
		file := strings.ToLower(strings.Join([]string{gvk["kind"].(string), group, gvk["version"].(string)}, "-"))
		writeJSON(t, filepath.Join(dir, strings.ReplaceAll(file, "--", "-")+".json"), map[string]any{"$ref": "_definitions.json#/definitions/" + name})
	}
}

// crds writes a schema for each version of each CRD.
func crds(t *testing.T, from, dir string) {
	t.Helper()
	files, err := filepath.Glob(from + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no CRDs: %v", from, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Spec struct {
				Group string
				Names struct{ Kind string }
				// Versions, each with its schema.
				Versions []struct {
					Name   string
					Schema struct{ OpenAPIV3Schema map[string]any }
				}
			}
		}
		if err := yaml.Unmarshal(b, &crd); err != nil {
			t.Fatal(err)
		}
		group, _, _ := strings.Cut(crd.Spec.Group, ".")
		for _, v := range crd.Spec.Versions {
			seal(v.Schema.OpenAPIV3Schema)
			name := strings.ToLower(crd.Spec.Names.Kind + "-" + group + "-" + v.Name)
			writeJSON(t, filepath.Join(dir, name+".json"), v.Schema.OpenAPIV3Schema)
		}
	}
}

// seal refuses fields that a schema does not name, and reads what only Kubernetes writes there.
func seal(schema map[string]any) {
	if _, ok := schema["properties"]; ok && schema["additionalProperties"] == nil && schema["x-kubernetes-preserve-unknown-fields"] == nil {
		schema["additionalProperties"] = false
	}
	if schema["x-kubernetes-int-or-string"] == true {
		delete(schema, "anyOf")
		delete(schema, "pattern")
		schema["type"] = []any{"string", "integer"}
	}
	for key, value := range schema {
		switch v := value.(type) {
		case map[string]any:
			if key == "properties" || key == "definitions" {
				for name, p := range v {
					if m, ok := p.(map[string]any); ok {
						refer(m)
						seal(m)
					}
					if name == "metadata" && key == "properties" {
						v[name] = map[string]any{"type": "object"}
					}
				}
				continue
			}
			refer(v)
			seal(v)
		case []any:
			for _, item := range v {
				if m, ok := item.(map[string]any); ok {
					refer(m)
					seal(m)
				}
			}
		}
	}
}

func refer(schema map[string]any) {
	if ref, ok := schema["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
		schema["$ref"] = "_definitions.json" + ref
	}
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func writeJSON(t *testing.T, file string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
