package cluster

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KillContainer ends a container of a pod by SIGKILL, which nobody in Kubernetes can send without a grace.
func (c *Cluster) KillContainer(namespace, pod, container string) {
	c.t.Helper()
	p, err := c.client.CoreV1().Pods(namespace).Get(c.t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	id := runningContainer(p, container)
	if id == "" {
		c.t.Fatalf("container %s of pod %s/%s does not run: %v", container, namespace, pod, p.Status.ContainerStatuses)
	}
	if err := c.sigkill(c.t.Context(), id); err != nil {
		c.t.Fatalf("killing %s of pod %s/%s: %v", container, namespace, pod, err)
	}
}

// KillPods ends the container of that name in every running pod of a selector by SIGKILL, and takes the pods away, so
// that others are made at once: a container that is only killed waits for its back-off. It returns how many there were.
func (c *Cluster) KillPods(namespace, selector, container string) (killed int) {
	c.t.Helper()
	ctx := c.t.Context()
	pods, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil || runningContainer(pod, container) == "" {
			continue
		}
		c.KillPod(namespace, pod.Name, container)
		killed++
	}
	return killed
}

// KillPod ends a container of one pod by SIGKILL, and takes the pod away.
func (c *Cluster) KillPod(namespace, pod, container string) {
	c.t.Helper()
	c.KillContainer(namespace, pod, container)
	now := int64(0)
	err := c.client.CoreV1().Pods(namespace).Delete(c.t.Context(), pod, metav1.DeleteOptions{GracePeriodSeconds: &now})
	if err != nil && !apierrors.IsNotFound(err) {
		c.t.Fatal(err)
	}
}

// runningContainer is the id of a pod's container, "" where it does not run.
func runningContainer(pod *corev1.Pod, container string) string {
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == container && s.State.Running != nil {
			return strings.TrimPrefix(s.ContainerID, "containerd://")
		}
	}
	return ""
}

// sigkill asks containerd. A container that is gone is well.
func (c *Cluster) sigkill(ctx context.Context, id string) error {
	out, err := c.run(ctx, "ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", id)
	if err != nil && !strings.Contains(err.Error(), "not found") {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
