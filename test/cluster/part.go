package cluster

import (
	"context"

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
		if err := await(ctx, patience, c.answers); err != nil {
			c.t.Errorf("after %s was started again the cluster does not answer: %v", part, err)
		}
	})
	if err := control.Ask(c.t.Context(), c.socket, part, how); err != nil {
		c.t.Fatalf("%s %s: %v", how, part, err)
	}
}

func (c *Cluster) answers(ctx context.Context) error {
	return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}
