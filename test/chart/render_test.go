package chart

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

const (
	chartDir  = "../../charts/tallyman"
	release   = "r"
	namespace = "jobs"
	// kubeVersion is the cluster that is rendered for; a Helm built from source has no version of its own.
	kubeVersion = "1.36.3"
	seed        = "0123456789abcdef0123456789abcdef"
)

// helms are both majors: each renders, and they must agree.
var helms = []string{"helm3", "helm4"}

// toolPaths remembers what test/cluster/tool answered; it may build for minutes, once.
var toolPaths sync.Map

// tool gives the path of a pinned program.
func tool(t testing.TB, name string) string {
	t.Helper()
	if path, ok := toolPaths.Load(name); ok {
		return path.(string)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "../cluster/tool", name).Output()
	if err != nil {
		t.Fatalf("test/cluster/tool %s: %v%s", name, err, stderrOf(err))
	}
	path := strings.TrimSpace(string(out))
	toolPaths.Store(name, path)
	return path
}

func stderrOf(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "\n" + string(exit.Stderr)
	}
	return ""
}

// template renders as `helm template` does, with flags like -f FILE.
func template(t testing.TB, helm string, flags ...string) (string, error) {
	t.Helper()
	return run(t, helm, append([]string{
		"template", release, chartDir, "--namespace", namespace, "--kube-version", kubeVersion,
	}, flags...)...)
}

func run(t testing.TB, helm string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, helm), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, diag.String())
	}
	return out.String(), nil
}

// sets gives the files of testdata/values.
func sets(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("testdata/values has %d files, six are expected: %v", len(files), err)
	}
	return files
}

func nameOf(file string) string { return strings.TrimSuffix(filepath.Base(file), ".yaml") }

// object is one that was rendered: as Kubernetes' own type, and as it stands.
type object struct {
	metav1.TypeMeta
	Meta  metav1.ObjectMeta
	Typed runtime.Object
	Tree  map[string]any
}

func (o *object) String() string { return o.Kind + " " + o.Meta.Namespace + "/" + o.Meta.Name }

var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		rbacv1.AddToScheme, kedav1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err) // the types are compiled in
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// render gives every object of a set of values. A field that no type has is an error.
func render(t testing.TB, helm string, flags ...string) []*object {
	t.Helper()
	out, err := template(t, helm, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, out)
}

func decode(t testing.TB, manifest string) []*object {
	t.Helper()
	var all []*object
	for _, doc := range strings.Split("\n"+manifest, "\n---") {
		o := &object{}
		if err := yaml.UnmarshalStrict([]byte(doc), &o.Tree); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		if len(o.Tree) == 0 {
			continue
		}
		typed, kind, err := decoder.Decode([]byte(doc), nil, nil)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		o.Typed, o.TypeMeta = typed, metav1.TypeMeta{APIVersion: kind.GroupVersion().String(), Kind: kind.Kind}
		b, err := json.Marshal(o.Tree["metadata"])
		if err == nil {
			err = json.Unmarshal(b, &o.Meta)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		t.Fatal("nothing was rendered")
	}
	slices.SortFunc(all, func(a, b *object) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// all gives the objects of one type.
func all[T runtime.Object](objects []*object) []T {
	var some []T
	for _, o := range objects {
		if typed, ok := o.Typed.(T); ok {
			some = append(some, typed)
		}
	}
	return some
}

// one gives the object of a type and name.
func one[T interface {
	runtime.Object
	metav1.Object
}](t testing.TB, objects []*object, name string) T {
	t.Helper()
	var names []string
	for _, o := range all[T](objects) {
		if o.GetName() == name {
			return o
		}
		names = append(names, o.GetName())
	}
	var none T
	t.Fatalf("there is no %T %s; there are %v", none, name, names)
	return none
}

// pods gives every pod that the objects would make, by the name of what makes it.
func pods(objects []*object) map[string]corev1.PodTemplateSpec {
	found := make(map[string]corev1.PodTemplateSpec)
	for _, o := range objects {
		switch typed := o.Typed.(type) {
		case *appsv1.Deployment:
			found[o.String()] = typed.Spec.Template
		case *appsv1.StatefulSet:
			found[o.String()] = typed.Spec.Template
		case *kedav1alpha1.ScaledJob:
			found[o.String()] = typed.Spec.JobTargetRef.Template
		case *corev1.Pod:
			found[o.String()] = corev1.PodTemplateSpec{ObjectMeta: typed.ObjectMeta, Spec: typed.Spec}
		}
	}
	return found
}

func containers(p corev1.PodTemplateSpec) []corev1.Container {
	return slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
}
