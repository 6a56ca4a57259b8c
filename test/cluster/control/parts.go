package control

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"

	"tallyman/test/cluster/enclosure"
)

// Tools are the pinned programs by name, as `tool` prints them.
type Tools map[string]string

// Names are the tools that a cluster is made of.
func Names() []string {
	return []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns", "keda",
		"kubectl", "helm3",
	}
}

// makeParts says how each process is called. Everybody else is reached by certificates; etcd listens on loopback in a
// network of our own, which needs none.
func makeParts(home string, tools Tools) map[string]*part {
	pki := func(name string) string { return filepath.Join(home, "pki", name) }
	at := func(name string) string { return filepath.Join(home, name) }
	config := func(user string) string { return "--kubeconfig=" + at(user+".kubeconfig") }
	containerd, err := exec.LookPath("containerd")
	if err != nil {
		containerd = "containerd" // its start says what is missing
	}
	list := []*part{
		{name: "etcd", path: tools["etcd"], ready: answers("http://127.0.0.1:2379/health"), args: []string{
			"--data-dir=" + at("etcd"), "--unsafe-no-fsync", "--quota-backend-bytes=4294967296", "--log-level=warn",
			"--listen-peer-urls=http://127.0.0.1:2380",
		}},
		{name: "containerd", path: containerd, ready: listens("unix", "/run/containerd/containerd.sock"), args: []string{
			"--config=" + at("containerd.toml"),
		}},
		{name: "kube-apiserver", path: tools["kube-apiserver"], args: apiserverArgs(pki),
			ready: answers("https://127.0.0.1:6443/readyz")},
		{name: "kube-controller-manager", path: tools["kube-controller-manager"], ready: answers("https://127.0.0.1:10257/healthz"),
			args: []string{
				config("kube-controller-manager"), "--leader-elect=false", "--use-service-account-credentials",
				"--service-account-private-key-file=" + pki("tokens.key"), "--root-ca-file=" + pki("ca.crt"),
				"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
				// A node that has gone is noticed within a test's patience.
				"--node-monitor-period=2s", "--node-monitor-grace-period=20s",
				"--kube-api-qps=300", "--kube-api-burst=600",
			}},
		{name: "kube-scheduler", path: tools["kube-scheduler"], ready: answers("https://127.0.0.1:10259/healthz"), args: []string{
			config("kube-scheduler"), "--leader-elect=false", "--kube-api-qps=300", "--kube-api-burst=600",
		}},
		{name: "kubelet", path: tools["kubelet"], ready: answers("http://127.0.0.1:10248/healthz"), args: []string{
			config("kubelet"), "--config=" + at("kubelet.yaml"), "--root-dir=" + at("kubelet"),
			"--hostname-override=node", "--node-ip=" + enclosure.NodeIP,
		}},
		{name: "kube-proxy", path: tools["kube-proxy"], ready: answers("http://127.0.0.1:10256/livez"), args: []string{
			"--config=" + at("kube-proxy.yaml"),
		}},
		{name: "coredns", path: tools["coredns"], ready: answers("http://127.0.0.1:8182/ready"), args: []string{
			"-conf=" + at("Corefile"),
		}},
		{name: "keda", path: tools["keda"], ready: answers("http://127.0.0.1:10281/readyz"), args: []string{
			// Its own ports are those that people forward the api and a component's /readyz to.
			"--metrics-bind-address=0", "--health-probe-bind-address=127.0.0.1:10281",
			config("keda"), "--cert-dir=" + pki("keda"), "--zap-log-level=info",
			"--kube-api-qps=200", "--kube-api-burst=400",
		}, env: []string{
			"WATCH_NAMESPACE=", "KEDA_CLUSTER_OBJECT_NAMESPACE=keda", "POD_NAMESPACE=keda",
			"AWS_ACCESS_KEY_ID=keda", "AWS_SECRET_ACCESS_KEY=keda", "AWS_EC2_METADATA_DISABLED=true",
		}},
	}
	parts := make(map[string]*part, len(list))
	for _, p := range list {
		p.log = at(filepath.Join("logs", p.name+".log"))
		parts[p.name] = p
	}
	return parts
}

func apiserverArgs(pki func(string) string) []string {
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--advertise-address=" + enclosure.NodeIP, "--secure-port=6443",
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		// The rights of each part are tested, so they are the real ones. Pod Security is on by default.
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("tokens.pub"), "--service-account-signing-key-file=" + pki("tokens.key"),
		"--service-cluster-ip-range=" + serviceNet,
		"--kubelet-client-certificate=" + pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + pki("apiserver-kubelet.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		// A pod of a node that has gone is evicted within a test's patience: the default is 300 s.
		"--default-not-ready-toleration-seconds=10", "--default-unreachable-toleration-seconds=10",
		"--watch-cache-sizes=", "--allow-privileged=true", "--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000",
		"--shutdown-delay-duration=0s",
	}
}

// asker does not look at certificates: it asks a port of this machine whether anybody is there.
var asker = &http.Client{Transport: &http.Transport{
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	DisableKeepAlives: true,
}}

// answers is ready when the address answers 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := asker.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", url, response.Status)
		}
		return nil
	}
}

// listens is ready when the address takes a connection.
func listens(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
