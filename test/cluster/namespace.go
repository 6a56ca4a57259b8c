package cluster

import (
	"context"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var notInNames = regexp.MustCompile(`[^a-z0-9-]+`)

// Namespace makes a namespace that enforces the Pod Security standard `restricted` and goes with the test.
func (c *Cluster) Namespace() string {
	c.t.Helper()
	return c.NamespaceWith(map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
}

// NamespaceWith makes a namespace with these labels, which goes with the test.
func (c *Cluster) NamespaceWith(labels map[string]string) string {
	c.t.Helper()
	ctx := c.t.Context()
	prefix := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(strings.TrimPrefix(c.t.Name(), "Test")), "-"), "-")
	namespace, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix[:min(len(prefix), 40)] + "-", Labels: labels},
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatalf("making a namespace: %v", err)
	}
	name := namespace.Name
	c.Adopt(name)
	// A pod may not be made before its namespace's default service account is there.
	c.Eventually(patience, "the namespace has its service account", func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return name
}

// Adopt takes a namespace that is made by others, or will be: it goes with the test, as one of Namespace does.
func (c *Cluster) Adopt(name string) {
	c.namespaces = append(c.namespaces, name)
	c.t.Cleanup(func() {
		ctx, cancel := cleanup()
		defer cancel()
		if c.t.Failed() {
			c.dumpNamespace(ctx, name) // before it goes
		}
		err := c.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			c.t.Errorf("removing namespace %s: %v", name, err)
		}
	})
}
