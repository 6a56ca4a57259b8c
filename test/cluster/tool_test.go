package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A stand-in for the compiler: it writes down each build, and makes what was asked for.
const standInForGo = `#!/usr/bin/env bash
set -e
case "$1 $2" in
  "mod download") mkdir -p "$PLACE/source"; printf '{\n "Dir": "%s"\n}\n' "$PLACE/source" ;;
  "mod edit") echo '{}' ;;
  build*) echo "$@" >>"$PLACE/builds"; while [ "$1" != -o ]; do shift; done; touch "$2/kubeconform" ;;
  *) echo "not expected: $*" >&2; exit 1 ;;
esac
`

// A tool is built once, and again when a flag, a package or a version has changed: a cache that did not know how its
// programs were built would hand out old ones.
func TestAToolIsBuiltAnewWhenItsBuildChanges(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tool", "versions"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(b))
	}
	write(t, filepath.Join(dir, "bin", "go"), standInForGo)
	ask := func() string {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "tool"), "kubeconform")
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "PLACE="+dir, "TALLYMAN_CACHE="+filepath.Join(dir, "cache"))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tool kubeconform: %v", err)
		}
		path := strings.TrimSpace(string(out))
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := ask()
	if again := ask(); again != first {
		t.Errorf("a second time it is %s, not %s", again, first)
	}
	seen := map[string]bool{first: true}
	for _, change := range []struct{ file, from, to string }{
		{"tool", "-trimpath", "-trimpath -race"},
		{"tool", "CGO_ENABLED=0", "CGO_ENABLED=1"},
		{"tool", "main.version=", "main.Version="},
		{"versions", "./cmd/kubeconform", "./cmd/kubeconform ./cmd/other"},
		{"versions", "kubeconform  v0", "kubeconform  v1"},
	} {
		path := filepath.Join(dir, change.file)
		b := read(t, path)
		if !strings.Contains(b, change.from) {
			t.Fatalf("%s has no %q: this test looks for the wrong words", change.file, change.from)
		}
		write(t, path, strings.Replace(b, change.from, change.to, 1))
		if path := ask(); seen[path] {
			t.Errorf("with %q it is the program of before, %s", change.to, path)
		} else {
			seen[path] = true
		}
	}
	if builds := strings.Count(read(t, filepath.Join(dir, "builds")), "\n"); builds != len(seen) {
		t.Errorf("%d builds of %d programs", builds, len(seen))
	}
}

// Another Kubernetes has a folder of its own, and a word that names none is refused before anything is built.
func TestAnotherKubernetesIsARelease(t *testing.T) {
	for _, version := range []string{"1.34.4", "v1.34", "latest", "v1.34.4; touch x"} {
		cmd := exec.CommandContext(t.Context(), "./tool", "kubelet")
		cmd.Env = append(os.Environ(), "TALLYMAN_CLUSTER_KUBERNETES="+version)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "TALLYMAN_CLUSTER_KUBERNETES="+version+": want a release, like v1.34.4") {
			t.Errorf("%s: %v, %s", version, err, out)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
