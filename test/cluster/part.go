package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/test/cluster/control"
)

// Stop ends a part of the cluster with SIGTERM; the names are what `cluster parts` prints: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, containerd, kubelet, kube-proxy, coredns, keda. It is begun again at the
// test's end at the latest.
func (c *Cluster) Stop(part string) {
	c.t.Helper()
	c.end(part, "stop")
}

// Kill ends a part with SIGKILL; otherwise it is Stop.
func (c *Cluster) Kill(part string) {
	c.t.Helper()
	c.end(part, "kill")
}

// Start begins a part again and waits until it is ready. One that runs is left alone.
func (c *Cluster) Start(part string) {
	c.t.Helper()
	if err := control.Ask(c.t.Context(), c.socket, part, "start"); err != nil {
		c.t.Fatalf("starting %s: %v", part, err)
	}
}

func (c *Cluster) end(part, how string) {
	c.t.Helper()
	c.t.Cleanup(func() {
		ctx, cancel := cleanup()
		defer cancel()
		if err := control.Ask(ctx, c.socket, part, "start"); err != nil {
			c.t.Errorf("starting %s again: %v", part, err)
			return
		}
		if err := await(ctx, patience, c.isWell); err != nil {
			c.t.Errorf("after %s was started again the cluster is not what the next test expects: %v", part, err)
		}
	})
	if err := control.Ask(c.t.Context(), c.socket, part, how); err != nil {
		c.t.Fatalf("%s %s: %v", how, part, err)
	}
}

// isWell is nil where the API server answers and every node is ready.
func (c *Cluster) isWell(ctx context.Context) error {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range nodes.Items {
		for _, condition := range nodes.Items[i].Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				return fmt.Errorf("node %s is not ready: %s", nodes.Items[i].Name, condition.Message)
			}
		}
	}
	return nil
}
