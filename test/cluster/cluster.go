package cluster

import (
	"context"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"tallyman/test/cluster/control"
)

// Cluster is the cluster as one test has it: whatever goes wrong in a method fails that test.
type Cluster struct {
	t          testing.TB
	kubeconfig string
	socket     string
	rest       *rest.Config
	client     kubernetes.Interface
	dynamic    dynamic.Interface
	namespaces []string
}

// Join gives a test the cluster that it runs in. Where there is none the test fails, and says how to get one.
func Join(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t, kubeconfig: os.Getenv(control.KubeconfigEnv), socket: os.Getenv(control.SocketEnv)}
	if c.socket == "" {
		t.Fatal("there is no cluster here: run this with `make e2e RUN=" + t.Name() + "`")
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	config.WarningHandler = rest.NoWarnings{}
	c.rest = config
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.dump()
		}
	})
	return c
}

// Client is the administrator's.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Dynamic is the administrator's, for objects that have no Go type here: ScaledJobs.
func (c *Cluster) Dynamic() dynamic.Interface { return c.dynamic }

// RESTConfig is the administrator's; a caller that changes it copies it first (rest.CopyConfig).
func (c *Cluster) RESTConfig() *rest.Config { return c.rest }

// Kubeconfig is the path of the administrator's.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// cleanup is the context of what is done at a test's end, when the test's own has ended.
func cleanup() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Minute)
}
