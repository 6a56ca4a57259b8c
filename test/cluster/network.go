package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// Service is the host:port of a Service, by the cluster's own DNS: what a pod would dial, and a test too.
func (c *Cluster) Service(namespace, name string, port int) string {
	return fmt.Sprintf("%s.%s.svc.cluster.local:%d", name, namespace, port)
}

// DialService opens a connection to a Service.
func (c *Cluster) DialService(ctx context.Context, namespace, name string, port int) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", c.Service(namespace, name, port))
}

// PortForward forwards a free port of loopback to a port of a pod until the test ends, as `kubectl port-forward` does,
// and returns its address.
func (c *Cluster) PortForward(namespace, pod string, port int) string {
	c.t.Helper()
	roundTripper, upgrader, err := spdy.RoundTripperFor(c.rest)
	if err != nil {
		c.t.Fatal(err)
	}
	url := c.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, url)
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forward, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		c.t.Fatal(err)
	}
	go func() { ended <- forward.ForwardPorts() }()
	c.t.Cleanup(func() { close(stop) })
	select {
	case <-ready:
	case err := <-ended:
		c.t.Fatalf("forwarding to %s/%s:%d: %v", namespace, pod, port, err)
	case <-c.t.Context().Done():
		c.t.Fatal(c.t.Context().Err())
	}
	ports, err := forward.GetPorts()
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0].Local)
}
