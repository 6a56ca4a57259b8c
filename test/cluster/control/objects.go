package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

var (
	scaledJobs  = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledjobs"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

func (c *Control) applyBasics(ctx context.Context) error {
	b, err := config.ReadFile("config/objects.yaml")
	if err != nil {
		return err
	}
	return c.apply(ctx, b)
}

// applyKEDA installs KEDA's own definitions and rights, as its release has them.
func (c *Control) applyKEDA(ctx context.Context, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "crd", "bases", "*.yaml"))
	if err != nil {
		return err
	}
	for _, name := range []string{"role.yaml", "role_binding.yaml", "aggregate_cluster_roles.yaml"} {
		files = append(files, filepath.Join(dir, "rbac", name))
	}
	all, allCtx := errgroup.WithContext(ctx)
	for _, file := range files {
		all.Go(func() error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if err := c.apply(allCtx, b); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return c.awaitDefinitions(ctx)
}

// awaitDefinitions waits until the API server serves what was defined: whoever watches it earlier waits long.
func (c *Control) awaitDefinitions(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		list, err := c.dynamic.Resource(definitions).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		for _, definition := range list.Items {
			if !holds(&definition, "Established") {
				return false, fmt.Errorf("%s is not served", definition.GetName())
			}
		}
		return true, nil
	})
}

// holds tells whether an object has a condition of this type that is True.
func holds(object *unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == kind && m["status"] == "True" {
			return true
		}
	}
	return false
}

// apply puts every object of a YAML file into the cluster, by server-side apply. A namespace that another file of
// the same start brings may be a moment away.
func (c *Control) apply(ctx context.Context, file []byte) error {
	groups, err := restmapper.GetAPIGroupResources(c.client.Discovery())
	if err != nil {
		return err
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(file), 4096)
	for { // ends with the file
		object := new(unstructured.Unstructured)
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		kind := object.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return err
		}
		var resource dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			resource = c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
		}
		err = until(ctx, func() (bool, error) {
			_, err := resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "cluster", Force: true})
			if apierrors.IsNotFound(err) {
				return false, err
			}
			return true, err
		})
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind.Kind, object.GetName(), err)
		}
	}
}

func (c *Control) awaitNode(ctx context.Context) error {
	err := until(ctx, func() (bool, error) {
		node, err := c.client.CoreV1().Nodes().Get(ctx, "node", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				if len(node.Spec.Taints) == 0 {
					return true, nil
				}
				return false, fmt.Errorf("it has taints: %v", node.Spec.Taints)
			}
		}
		return false, fmt.Errorf("its conditions: %v", node.Status.Conditions)
	})
	if err != nil {
		return fmt.Errorf("the node is not Ready: %w", err)
	}
	return nil
}

// awaitKEDA waits until the operator has reported on a ScaledJob, since its probe says nothing of its controllers.
func (c *Control) awaitKEDA(ctx context.Context) error {
	b, err := config.ReadFile("config/probe.yaml")
	if err != nil {
		return err
	}
	if err := c.apply(ctx, b); err != nil {
		return err
	}
	probes := c.dynamic.Resource(scaledJobs).Namespace("keda")
	err = until(ctx, func() (bool, error) {
		probe, err := probes.Get(ctx, "probe", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if holds(probe, "Ready") {
			return true, nil
		}
		return false, fmt.Errorf("its status: %v", probe.Object["status"])
	})
	if err != nil {
		return fmt.Errorf("KEDA does not report on a ScaledJob: %w", err)
	}
	return probes.Delete(ctx, "probe", metav1.DeleteOptions{})
}

// until asks again until it is done, or the context ends: then it returns the last answer's error too.
func until(ctx context.Context, done func() (bool, error)) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := done()
		if ok {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
