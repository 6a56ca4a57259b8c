// Command aggregator is events in, stats out.
package main

import (
	"context"
	"os"

	"tallyman/aggregator"
	"tallyman/contract"
	"tallyman/internal/program"
)

func main() {
	var o aggregator.Options
	p := program.New("aggregator")
	p.NeedRetention(&o.Retention, aggregator.DefaultRetention, "how long the documents of ended jobs are kept")
	p.Flags.Uint64Var(&o.AcceptGapsTo, "accept-gaps-to", 0, "the sequence up to which it is known that nothing was lost by those that the stream does not have (docs/runbook.md)")
	os.Exit(p.Main(os.Args[1:], os.Stderr, func(ctx context.Context, p *program.Program) error {
		return build(ctx, p, o)
	}))
}

func build(ctx context.Context, p *program.Program, o aggregator.Options) error {
	jobs, err := p.Stream.Bucket(ctx, contract.BucketJobs)
	if err != nil {
		return err
	}
	o.Events, o.Bucket, o.Lease, o.Log = p.Stream, jobs, p.Stream.Lease(contract.LeaseLedger, program.Holder()), p.Log
	a, err := aggregator.New(o)
	if err != nil {
		return err
	}
	p.Add("aggregator", a.Run, func(context.Context) error { return a.Ready() })
	return nil
}
