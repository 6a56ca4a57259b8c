// Command api is HTTP in, HTTP out.
package main

import (
	"context"
	"os"

	"tallyman/aggregator"
	"tallyman/api"
	"tallyman/contract"
	"tallyman/internal/audit"
	"tallyman/internal/doctor"
	"tallyman/internal/program"
	"tallyman/internal/queue"
	"tallyman/internal/service"
	"tallyman/scheduler"
)

func main() {
	var o api.Options
	var past aggregator.Past
	var a program.Audit
	p := program.New("api")
	p.NeedConfig()
	p.Flags.StringVar(&o.Addr, "addr", api.DefaultAddr, "where to listen")
	p.Flags.StringVar(&o.TokenFile, "token-file", "", "file with the bearer token to ask for; none is asked for without")
	p.Flags.IntVar(&o.MaxStreams, "max-streams", api.DefaultMaxStreams, "clients that follow events at a time")
	p.Flags.Int64Var(&o.PastBytes, "past-bytes", api.DefaultPastBytes, "bytes of past events in memory, for all together who are sent them")
	p.Flags.StringVar(&o.IndexPath, "index", "", "file of the disposable index; in memory without")
	p.NeedRetention(&past.Retention, aggregator.DefaultRetention, "the aggregator's, for the stats of a past moment to be the same")
	p.Flags.IntVar(&past.Most, "replay", aggregator.DefaultReplay, "how many events are read at most for the stats of a past moment")
	p.Flags.DurationVar(&o.AcceptedAfter, "accepted-after", scheduler.DefaultAcceptedAfter, "the scheduler's, for explain to say when it sends a run again")
	p.Flags.DurationVar(&o.QueuedAfter, "queued-after", scheduler.DefaultQueuedAfter, "likewise, and for an audit to say it; 0: never")
	p.NeedAudit(&a)
	os.Exit(p.Main(os.Args[1:], os.Stderr, func(ctx context.Context, p *program.Program) error {
		return build(ctx, p, o, &past, &a)
	}))
}

func build(ctx context.Context, p *program.Program, o api.Options, past *aggregator.Past, a *program.Audit) error {
	buckets, err := p.Buckets(ctx, contract.BucketJobs, contract.BucketSchedules, contract.BucketOutput, contract.BucketWebhooks,
		contract.BucketClaims, contract.BucketAudit)
	if err != nil {
		return err
	}
	jobs, schedules, output, hooks, claims, reports := buckets[0], buckets[1], buckets[2], buckets[3], buckets[4], buckets[5]
	q, err := queue.Open(ctx, queue.Options{})
	if err != nil {
		return err
	}
	d, err := p.Dispatcher(ctx, contract.SourceAPI, q)
	if err != nil {
		return err
	}
	o.Config, o.Jobs, o.Schedules, o.Ticks, o.Output = p.Config, jobs, schedules, schedules, output
	o.Webhooks = hooks
	past.Events, past.Kept, o.Past = p.Stream, jobs, past
	o.Claims, o.Counter, o.Remarks = claims, q, p.Stream
	o.Events, o.Signals, o.Dispatch, o.Cron, o.Log = p.Stream, p.Stream, d, program.Cron(scheduler.Next), p.Log
	a.Retention, a.QueuedAfter = past.Retention, o.QueuedAfter
	o.Reports = reports
	o.Auditor, err = p.Auditor(ctx, a, q, func() audit.Replay { return aggregator.NewReplay(p.Stream, jobs, a.Retention) })
	if err != nil {
		return err
	}
	srv, err := api.New(o)
	if err != nil {
		return service.Elsewhere(err, "--addr")
	}
	p.Check(doctor.Queues(q, &p.Config)...)
	p.Add("api", srv.Run, srv.Ready)
	return nil
}
