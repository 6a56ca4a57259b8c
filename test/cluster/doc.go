// Package cluster is what a test sees of the real Kubernetes that `make e2e` brings up: Join gives it the cluster, a
// namespace of its own, and the means to install, ask, break and mend.
//
//	c := cluster.Join(t)
//	namespace := c.Namespace()
//	c.Helm("install", "tallyman", "../../../charts/tallyman", "--namespace", namespace)
//	c.Eventually(time.Minute, "the api is ready", func(ctx context.Context) error { ... })
//	c.Kill("kubelet")
//	c.Start("kubelet")
//
// A test runs inside the cluster's own network: Services are dialled by their DNS names, pods by their addresses, and
// nothing outside can be. All tests of a run share one cluster; whoever stops a part of it starts it again (Stop and
// Kill see to that at the test's end) and does not run in parallel.
//
//	cluster.go    Join, and the clients
//	namespace.go  a namespace for each test
//	part.go       stopping and starting the parts of the cluster
//	wait.go       waiting for the state of the world
//	container.go  killing what runs in pods
//	tool.go       helm, kubectl
//	network.go    asking Services, forwarding ports
//	image.go      putting images where pods find them
//	dump.go       what is kept of a test that failed
//
// The cluster itself is made by the packages below: enclosure (namespaces from which nothing escapes), control (the
// parts), cmd/cluster (the command that joins them).
package cluster
