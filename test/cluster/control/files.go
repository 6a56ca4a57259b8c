package control

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"tallyman/test/cluster/enclosure"
)

//go:embed config
var config embed.FS

const (
	registryPort = 5000
	serviceNet   = "10.96.0.0/16"
	apiService   = "10.96.0.1"
	dnsService   = "10.96.0.10"
	podNet       = "10.244.0.0/16"
)

// values are what the configuration files are filled in with.
type values struct {
	Home, PKI, NodeIP, DNS, Pods, CNI, User string
	RegistryPort                            int
}

// users are the parts that speak to the API server, each with the name and groups that Kubernetes' own roles are
// bound to. KEDA is its service account, so that it has the rights that its own manifests give it and no more.
var users = map[string][]string{
	"admin":                   {"admin", "system:masters"},
	"kube-controller-manager": {"system:kube-controller-manager"},
	"kube-scheduler":          {"system:kube-scheduler"},
	"kube-proxy":              {"system:kube-proxy"},
	"kubelet":                 {"system:node:node", "system:nodes"},
	"coredns":                 {"system:serviceaccount:kube-system:coredns", "system:serviceaccounts", "system:serviceaccounts:kube-system"},
	"keda":                    {"system:serviceaccount:keda:keda-operator", "system:serviceaccounts", "system:serviceaccounts:keda"},
}

// cniFolders are where distributions keep the plugins; the first is Debian's.
var cniFolders = []string{"/usr/lib/cni", "/opt/cni/bin"}

// writeFiles writes every certificate and configuration file.
func writeFiles(home string) error {
	pki, err := newAuthority(filepath.Join(home, "pki"))
	if err != nil {
		return err
	}
	v := values{
		Home: home, PKI: pki.dir, NodeIP: enclosure.NodeIP, DNS: dnsService, Pods: podNet, RegistryPort: registryPort,
	}
	for _, dir := range cniFolders {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil && v.CNI == "" {
			v.CNI = dir
		}
	}
	if v.CNI == "" {
		return fmt.Errorf("no CNI plugins in %v: install containernetworking-plugins", cniFolders)
	}
	if err := writeCertificates(pki); err != nil {
		return err
	}
	for file, target := range map[string]string{
		"kubelet.yaml":    "kubelet.yaml",
		"containerd.toml": "containerd.toml",
		"hosts.toml":      "registries/_default/hosts.toml",
		"cni.conflist":    "cni/10-tallyman.conflist",
		"Corefile":        "Corefile",
		"kube-proxy.yaml": "kube-proxy.yaml",
	} {
		if err := fill(file, filepath.Join(home, target), v); err != nil {
			return err
		}
	}
	for user := range users {
		v.User = user
		if err := fill("kubeconfig.yaml", filepath.Join(home, user+".kubeconfig"), v); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(home, "empty"), nil, 0o644)
}

func writeCertificates(pki *authority) error {
	for user, name := range users {
		if err := pki.client(user, name[0], name[1:]...); err != nil {
			return err
		}
	}
	// Of a client of the kubelet, to which the API server is one.
	if err := pki.client("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters"); err != nil {
		return err
	}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	if err := pki.server("apiserver", names, "127.0.0.1", enclosure.NodeIP, apiService); err != nil {
		return err
	}
	if err := pki.server("kubelet-server", []string{"node"}, "127.0.0.1", enclosure.NodeIP); err != nil {
		return err
	}
	if err := pki.pair("tokens"); err != nil {
		return err
	}
	return writeKEDACertificate(pki)
}

// writeKEDACertificate puts a pair where KEDA looks for one, for a service that ScaledJobs never use and without which
// it does not start.
func writeKEDACertificate(pki *authority) error {
	if err := pki.server("keda-server", []string{"keda-operator.keda.svc"}, "127.0.0.1"); err != nil {
		return err
	}
	dir := pki.file("keda")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for from, to := range map[string]string{"ca.crt": "ca.crt", "keda-server.crt": "tls.crt", "keda-server.key": "tls.key"} {
		b, err := os.ReadFile(pki.file(from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func fill(file, target string, v values) error {
	t, err := template.ParseFS(config, "config/"+file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := t.Execute(f, v); err != nil {
		_ = f.Close()
		return fmt.Errorf("%s: %w", file, err)
	}
	return f.Close()
}
