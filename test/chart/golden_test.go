package chart

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

// What is rendered for six sets of values, by both Helms. `go test ./... -run Golden -update` writes it anew,
// and the difference is then there to be read.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, set := range sets(t) {
		t.Run(nameOf(set), func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join("testdata/golden", filepath.Base(set))
			for i, helm := range helms {
				got := plain(t, render(t, helm, "-f", set))
				if *update && i == 0 {
					if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatalf("%v: run with -update", err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-golden +rendered):\n%s", helm, diff)
				}
			}
		})
	}
}

// plain is what was rendered in one order, with Secrets readable. The server's configuration, of some 700 lines,
// is left to rights_test.go, which knows what it means.
func plain(t *testing.T, objects []*object) string {
	t.Helper()
	var text string
	for _, o := range objects {
		if secret, ok := o.Typed.(*corev1.Secret); ok {
			readable := make(map[string]any)
			for key, value := range secret.Data {
				readable[key] = string(value)
				if key == "nats.conf" {
					readable[key], _, _ = strings.Cut(string(value), "accounts:")
				}
			}
			delete(o.Tree, "data")
			o.Tree["stringData"] = readable
		}
		b, err := yaml.Marshal(o.Tree)
		if err != nil {
			t.Fatal(err)
		}
		text += "---\n" + string(b)
	}
	return text
}
