package program

import (
	"context"
	"time"

	"tallyman/contract"
	"tallyman/internal/audit"
	"tallyman/internal/queue"
)

// Audit are the flags of those who audit.
type Audit struct {
	Retention   time.Duration
	QueuedAfter time.Duration
	CounterLag  time.Duration
	Most        int
}

// NeedAudit declares the flags of an Auditor, but for the retention and the scheduler's
// patience, which each program says in its own words.
func (p *Program) NeedAudit(a *Audit) {
	p.Flags.DurationVar(&a.CounterLag, "counter-lag", audit.DefaultCounterLag, "for how long SQS's counters may be wrong; on AWS a minute")
	p.Flags.IntVar(&a.Most, "audit-events", audit.DefaultMost, "how many events an audit replays at the most; of a longer log, jobs are held to claims, SQS and Kubernetes alone, and a remark says so")
}

// Auditor makes one over our own stream and buckets. replay is the aggregator's, which only mains may join.
func (p *Program) Auditor(ctx context.Context, a *Audit, q *queue.Client, replay func() audit.Replay) (*audit.Auditor, error) {
	buckets, err := p.Buckets(ctx, contract.BucketJobs, contract.BucketClaims, contract.BucketAudit)
	if err != nil {
		return nil, err
	}
	return audit.New(audit.Options{
		Config: p.Config, Events: p.Stream, Replay: replay, Ledger: buckets[0], Claims: buckets[1], Records: buckets[2],
		Counter: q, Retention: a.Retention, QueuedAfter: a.QueuedAfter, CounterLag: a.CounterLag, Most: a.Most, Log: p.Log,
	})
}
