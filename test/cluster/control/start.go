package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"tallyman/test/cluster/enclosure"
)

// Environment variables by which programs inside find the cluster.
const (
	SocketEnv     = "TALLYMAN_CLUSTER_SOCKET"
	KubeconfigEnv = "KUBECONFIG"
)

// startPatience is for a machine with two busy processors; an idle one needs a third.
const startPatience = 4 * time.Minute

// Control holds a running cluster.
type Control struct {
	home     string
	parts    map[string]*part
	rest     *rest.Config
	client   kubernetes.Interface
	dynamic  dynamic.Interface
	registry net.Listener
	server   *http.Server
}

// Start brings a cluster up: it returns when the node is Ready and KEDA watches ScaledJobs.
func Start(ctx context.Context, tools Tools, pause string) (*Control, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	home := enclosure.Home
	for _, dir := range []string{"logs", "pods", "plugins", "volumes", "registry", "bin"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := writeFiles(home); err != nil {
		return nil, err
	}
	c := &Control{home: home, parts: makeParts(home, tools)}
	if err := c.connect(); err != nil {
		return nil, err
	}
	if err := c.serveRegistry(); err != nil {
		return nil, err
	}
	if err := PushProgram(ctx, "pause:1", pause, "/pause"); err != nil {
		return nil, err
	}
	if err := c.startAll(ctx, filepath.Join(filepath.Dir(tools["keda"]), "config")); err != nil {
		return nil, err
	}
	return c, c.serveControl(ctx)
}

func (c *Control) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	config.WarningHandler = rest.NoWarnings{}
	c.rest = config
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	c.dynamic, err = dynamic.NewForConfig(config)
	return err
}

// startAll begins everything that does not wait for another at once.
func (c *Control) startAll(ctx context.Context, keda string) error {
	base, baseCtx := errgroup.WithContext(ctx)
	for _, name := range []string{"containerd", "etcd", "kube-apiserver"} { // the last asks for etcd until it is there
		base.Go(func() error { return c.begin(baseCtx, name) })
	}
	if err := base.Wait(); err != nil {
		return err
	}
	rest, restCtx := errgroup.WithContext(ctx)
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} {
		rest.Go(func() error { return c.begin(restCtx, name) })
	}
	rest.Go(func() error {
		return errors.Join(c.applyBasics(restCtx), c.begin(restCtx, "coredns"))
	})
	rest.Go(func() error {
		if err := c.applyKEDA(restCtx, keda); err != nil {
			return err
		}
		return errors.Join(c.begin(restCtx, "keda"), c.awaitKEDA(restCtx))
	})
	rest.Go(func() error { return c.awaitNode(restCtx) })
	rest.Go(func() error { return c.pushArchives(restCtx, os.Getenv(ImagesEnv)) })
	if err := rest.Wait(); err != nil {
		return err
	}
	return c.provide(ctx)
}

// begin starts a part and says how long it took to be ready.
func (c *Control) begin(ctx context.Context, name string) error {
	began := time.Now()
	if err := c.parts[name].start(ctx); err != nil {
		return err
	}
	slog.Debug("part is ready", "part", name, "after", time.Since(began).Round(time.Millisecond))
	return nil
}

// Kubeconfig is the path of the administrator's.
func (c *Control) Kubeconfig() string { return filepath.Join(c.home, "admin.kubeconfig") }
