// Command scheduler is time in, tasks out; it sends again the tasks that must be sent again, and tells the
// webhooks of the configuration.
package main

import (
	"context"
	"os"

	"tallyman/aggregator"
	"tallyman/contract"
	"tallyman/internal/audit"
	"tallyman/internal/doctor"
	"tallyman/internal/program"
	"tallyman/internal/queue"
	"tallyman/scheduler"
	"tallyman/webhook"
)

func main() {
	var o scheduler.Options
	var a program.Audit
	p := program.New("scheduler")
	p.NeedConfig()
	p.Flags.DurationVar(&o.AcceptedAfter, "accepted-after", scheduler.DefaultAcceptedAfter, "send a run again that SQS has not taken for so long")
	p.Flags.DurationVar(&o.QueuedAfter, "queued-after", scheduler.DefaultQueuedAfter, "send a run again that waits while its queue was empty for so long; 0: never")
	p.Flags.DurationVar(&o.AuditEvery, "audit-every", scheduler.DefaultAuditEvery, "how often the leader audits")
	p.NeedRetention(&a.Retention, aggregator.DefaultRetention, "the aggregator's, for an audit to know which documents are gone")
	p.NeedAudit(&a)
	os.Exit(p.Main(os.Args[1:], os.Stderr, func(ctx context.Context, p *program.Program) error {
		return build(ctx, p, o, &a)
	}))
}

func build(ctx context.Context, p *program.Program, o scheduler.Options, a *program.Audit) error {
	buckets, err := p.Buckets(ctx, contract.BucketJobs, contract.BucketSchedules, contract.BucketWebhooks)
	if err != nil {
		return err
	}
	jobs, schedules, records := buckets[0], buckets[1], buckets[2]
	q, err := queue.Open(ctx, queue.Options{})
	if err != nil {
		return err
	}
	d, err := p.Dispatcher(ctx, contract.SourceScheduler, q)
	if err != nil {
		return err
	}
	o.Config, o.Lease, o.Schedules, o.Ledger = p.Config, p.Stream.Lease(contract.LeaseScheduler, program.Holder()), schedules, jobs
	o.Events, o.Dispatcher, o.Counter, o.DeadLetters, o.Log = p.Stream, d, q, q, p.Log
	a.QueuedAfter = o.QueuedAfter
	o.Auditor, err = p.Auditor(ctx, a, q, func() audit.Replay { return aggregator.NewReplay(p.Stream, jobs, a.Retention) })
	if err != nil {
		return err
	}
	s, err := scheduler.New(o)
	if err != nil {
		return err
	}
	p.Check(doctor.Queues(q, &p.Config)...)
	books, err := p.Books(ctx)
	if err != nil {
		return err
	}
	p.Check(books.Lags()...)
	p.Add("scheduler", s.Run, s.Ready)
	hooks, err := webhook.New(webhook.Options{
		Hooks: p.Config.Webhooks, Lease: p.Stream.Lease(contract.LeaseWebhooks, program.Holder()), Events: p.Stream, Records: records,
		Log: p.Log,
	})
	if err != nil {
		return err
	}
	p.Add("webhooks", hooks.Run, nil)
	return nil
}
