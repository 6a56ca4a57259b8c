// Command bridge is Kubernetes in, events out.
package main

import (
	"context"
	"os"

	"tallyman/bridge"
	"tallyman/bridge/kube"
	"tallyman/contract"
	"tallyman/internal/program"
)

func main() {
	var o bridge.Options
	var kubeconfig string
	p := program.New("bridge")
	p.Flags.StringVar(&o.Cluster, "cluster", "", "name of this cluster, as processors write it into their claims")
	p.Flags.StringSliceVar(&o.Namespaces, "namespaces", nil, "whose units are judged; those of any other are left alone")
	p.Flags.StringVar(&kubeconfig, "kubeconfig", "", "file that names the API server; the pod's own service account without")
	os.Exit(p.Main(os.Args[1:], os.Stderr, func(ctx context.Context, p *program.Program) error {
		return build(ctx, p, o, kubeconfig)
	}))
}

func build(ctx context.Context, p *program.Program, o bridge.Options, kubeconfig string) error {
	buckets, err := p.Buckets(ctx, contract.BucketClaims, contract.BucketJobs)
	if err != nil {
		return err
	}
	claims, ledger := buckets[0], buckets[1]
	server, err := kube.Dial(kubeconfig)
	if err != nil {
		return err
	}
	k, err := kube.NewInformers(server, o.Namespaces, p.Log)
	if err != nil {
		return err
	}
	o.Kubernetes, o.Claims, o.Events, o.Log = k, claims, p.Stream, p.Log
	o.Ledger = ledger
	b, err := bridge.New(o)
	if err != nil {
		return err
	}
	p.Add("bridge", b.Run, k.Ready)
	return nil
}
