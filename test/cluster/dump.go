package cluster

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tallyman/test/cluster/control"
)

// DumpEnv names the folder that takes what is known of tests that failed.
const DumpEnv = "TALLYMAN_CLUSTER_DUMP"

const mostOfALog = 4 << 20

func (c *Cluster) dumpDir() string {
	return filepath.Join(os.Getenv(DumpEnv), strings.ReplaceAll(c.t.Name(), "/", "-"))
}

// dump keeps what the parts of the cluster printed, and where the node stands.
func (c *Cluster) dump() {
	if os.Getenv(DumpEnv) == "" {
		return
	}
	ctx, cancel := cleanup()
	defer cancel()
	parts, err := control.Parts(ctx, c.socket)
	if err != nil {
		c.t.Logf("the parts of the cluster: %v", err)
	}
	for _, p := range parts {
		c.keepTail(p.Name+".log", p.Log)
	}
	c.keepOutput(ctx, "nodes.txt", "describe", "nodes")
	c.keepOutput(ctx, "pods.txt", "get", "pods", "--all-namespaces", "-o", "wide")
	c.t.Logf("what is known of it is in %s", c.dumpDir())
}

// dumpNamespace keeps the objects of a namespace, and what its pods printed.
func (c *Cluster) dumpNamespace(ctx context.Context, namespace string) {
	if os.Getenv(DumpEnv) == "" {
		return
	}
	kinds := "scaledjobs.keda.sh,jobs,pods,deployments,statefulsets,services,endpointslices,configmaps,pvc,leases"
	c.keepOutput(ctx, namespace+"-objects.yaml", "-n", namespace, "get", kinds, "-o", "yaml")
	c.keepOutput(ctx, namespace+"-pods.txt", "-n", namespace, "describe", "pods")
	c.keepOutput(ctx, namespace+"-events.txt", "-n", namespace, "get", "events", "--sort-by=.metadata.creationTimestamp")
	names, err := c.run(ctx, "kubectl", "-n", namespace, "get", "pods", "-o", "name")
	if err != nil {
		c.t.Logf("the pods of %s: %v", namespace, err)
		return
	}
	for _, pod := range strings.Fields(names) {
		c.keepOutput(ctx, namespace+"-"+filepath.Base(pod)+".log",
			"-n", namespace, "logs", "--all-containers", "--prefix", "--timestamps", "--tail=20000", pod)
	}
}

func (c *Cluster) keepOutput(ctx context.Context, file string, args ...string) {
	out, err := c.run(ctx, "kubectl", args...)
	if err != nil {
		out += "\n" + err.Error() + "\n"
	}
	c.keep(file, []byte(out))
}

func (c *Cluster) keep(file string, content []byte) {
	err := os.MkdirAll(c.dumpDir(), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dumpDir(), file), content, 0o644)
	}
	if err != nil {
		c.t.Logf("keeping %s: %v", file, err)
	}
}

func (c *Cluster) keepTail(file, source string) {
	f, err := os.Open(source)
	if err != nil {
		c.t.Logf("keeping %s: %v", file, err)
		return
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > mostOfALog {
		if _, err := f.Seek(-mostOfALog, io.SeekEnd); err != nil {
			c.t.Logf("keeping %s: %v", file, err)
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		c.t.Logf("keeping %s: %v", file, err)
	}
	c.keep(file, b)
}
