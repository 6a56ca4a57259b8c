// Command bridge is Kubernetes in, events out.
package main

import (
	"context"
	"errors"
	"os"

	"tallyman/bridge"
	"tallyman/bridge/kube"
	"tallyman/contract"
	"tallyman/internal/doctor"
	"tallyman/internal/program"
)

// settings are the flags that are not an option of the bridge's own.
type settings struct {
	kubeconfig, lease, leaseNamespace string
}

func main() {
	var o bridge.Options
	var s settings
	p := program.New("bridge")
	p.Flags.StringVar(&o.Cluster, "cluster", "", "name of this cluster, as processors write it into their claims")
	p.Flags.StringSliceVar(&o.Namespaces, "namespaces", nil, "whose units are judged; those of any other are left alone")
	p.Flags.StringVar(&s.kubeconfig, "kubeconfig", "", "file that names the API server; the pod's own service account without")
	p.Flags.StringVar(&s.lease, "lease", "tallyman-bridge", "the Lease by which one of several bridges leads; empty: every one leads")
	p.Flags.StringVar(&s.leaseNamespace, "lease-namespace", "", "where the Lease is; the pod's own namespace without")
	os.Exit(p.Main(os.Args[1:], os.Stderr, func(ctx context.Context, p *program.Program) error {
		return build(ctx, p, o, s)
	}))
}

func build(ctx context.Context, p *program.Program, o bridge.Options, s settings) error {
	buckets, err := p.Buckets(ctx, contract.BucketClaims, contract.BucketJobs, contract.BucketAudit)
	if err != nil {
		return err
	}
	claims, ledger, audit := buckets[0], buckets[1], buckets[2]
	if s.kubeconfig != "" {
		file, err := kube.ReadKubeconfig(s.kubeconfig, nil)
		if err != nil {
			return err
		}
		p.Add("kubeconfig", file.Run, nil)
	}
	server, err := kube.Dial(s.kubeconfig, p.Log)
	if err != nil {
		return err
	}
	k, err := kube.NewInformers(server, o.Namespaces)
	if err != nil {
		return err
	}
	o.Kubernetes, o.Claims, o.Events, o.Log = k, claims, p.Stream, p.Log
	o.Ledger, o.ClusterUID, o.Marks, o.Inventory = ledger, server, claims, audit
	o.KubernetesEvents, o.Scaling = k, p.Stream
	o.Scalers, o.Sights = k, claims
	lease, err := s.election(server)
	if err != nil {
		return err
	}
	if lease != nil {
		o.Leader = lease
	}
	b, err := bridge.New(o)
	if err != nil {
		return err
	}
	p.Add("bridge", b.Run, b.Ready)
	p.Watch("kubernetes", k.Ready)
	p.Check(doctor.Check{Name: "kubernetes version", Run: server.Version})
	p.Check(doctor.Check{Each: func(ctx context.Context) []contract.CheckLine { return bridge.CheckKEDA(ctx, k, k) }})
	if lease != nil {
		p.Watch("lease", lease.Ready)
	}
	return nil
}

// election gives the Lease, nil where none is asked for.
func (s *settings) election(server *kube.Server) (*kube.Lease, error) {
	if s.lease == "" {
		return nil, nil
	}
	namespace := s.leaseNamespace
	if namespace == "" {
		namespace = kube.OwnNamespace()
	}
	if namespace == "" {
		return nil, errors.New("--lease-namespace: name where the Lease is, since this is no pod; --lease '' does without")
	}
	return kube.NewLease(server, namespace, s.lease, program.Holder(), nil), nil
}
