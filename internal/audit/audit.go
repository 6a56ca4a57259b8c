package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"tallyman/contract"
)

// Auditor holds the ledger to the world. It remembers from one Run to the next what it suspects, so that what
// takes minutes to be believed is named by the next.
type Auditor struct {
	o  Options
	mu sync.Mutex // one look at a time
	m  memory
}

// New checks o and makes an Auditor.
func New(o Options) (*Auditor, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Auditor{o: o, m: make(memory)}, nil
}

// lookAgain is how long it waits between two looks at what is suspected.
const lookAgain = 500 * time.Millisecond

// Run audits once. It returns when everything fits or is named, or after Wait; what it suspects still is then
// pending. An error means that nothing can be said at all: NATS is away. What else cannot be looked at is in
// the report as unchecked.
func (a *Auditor) Run(ctx context.Context) (contract.AuditReport, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	began := a.o.Clock.Now()
	l, err := a.lookAtAll(ctx)
	if err != nil {
		return contract.AuditReport{}, fmt.Errorf("audit: %w", err)
	}
	until := began.Add(a.o.Wait)
	if err := a.judgeAll(ctx, l, l.subjects()); err != nil {
		return contract.AuditReport{}, fmt.Errorf("audit: %w", err)
	}
	for a.m.waiting(a.o.Clock.Now(), until) {
		timer := a.o.Clock.NewTimer(lookAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return contract.AuditReport{}, ctx.Err()
		case <-timer.Chan():
		}
		if err := a.judgeAll(ctx, l, a.suspected()); err != nil {
			return contract.AuditReport{}, fmt.Errorf("audit: %w", err)
		}
	}
	return a.report(l, began), nil
}

// Round runs once, and keeps what it found where others read it. The scheduler's leader calls it, sooner again
// where it was not clean: where anything is found, suspected, or could not be looked at.
func (a *Auditor) Round(ctx context.Context) (clean bool, err error) {
	r, err := a.Run(ctx)
	if err != nil {
		return false, err
	}
	if r.Unaccounted > 0 {
		f := &r.Findings[0]
		a.o.Log.Error("the books do not fit the world; run `tallyman verify`", "unaccounted", r.Unaccounted, "first", f.Says)
	}
	if err := a.keepMark(ctx); err != nil {
		return false, err
	}
	value, err := json.Marshal(&r)
	if err != nil {
		return false, fmt.Errorf("encode %s: %w", contract.KeyReport, err)
	}
	_, err = a.o.Records.Put(ctx, contract.KeyReport, value)
	return err == nil && r.Clean() && r.Pending == 0, err
}

// suspected are the subjects of which anything is suspected.
func (a *Auditor) suspected() []subject {
	all := make([]subject, 0, len(a.m))
	for s := range a.m {
		all = append(all, s)
	}
	return all
}

// judgeAll judges subjects one by one, and forgets those suspected before that are not among them: the look
// found them in order.
func (a *Auditor) judgeAll(ctx context.Context, l *look, subjects []subject) error {
	again := make(map[subject]bool, len(subjects))
	if err := l.renew(ctx); err != nil {
		return err
	}
	for _, s := range subjects {
		again[s] = true
		found, err := l.judge(ctx, s)
		if err != nil {
			return err
		}
		a.m.judged(s, found, a.o.Clock.Now(), l.info.Last, l.seq)
	}
	for s := range a.m {
		if !again[s] {
			delete(a.m, s)
		}
	}
	return nil
}

// judge gives what does not fit of one subject now.
func (l *look) judge(ctx context.Context, s subject) ([]suspicion, error) {
	switch {
	case s.stream:
		return append(l.mark.replaced(l.info), l.holes()...), nil
	case s.job != "":
		e, err := l.evidence(ctx, s.job)
		if err != nil {
			return nil, err
		}
		return e.judge(), nil
	case s.queue != "":
		return l.judgeQueue(ctx, s.queue)
	case s.unit != "":
		return l.judgeUnit(s.unit), nil
	}
	return l.judgeKey(ctx, s.key)
}

func (a *Auditor) report(l *look, began time.Time) contract.AuditReport {
	now := a.o.Clock.Now()
	found, pending := a.m.findings(now)
	r := contract.AuditReport{
		V: contract.AuditVersion, At: contract.At(now), AsOf: l.asOf, Pending: pending, Unchecked: l.unchecked, Remarks: l.remarks,
		Looked: contract.AuditScope{
			Events: l.replay.Events(), From: max(1, l.info.First), Documents: len(l.docs), Claims: l.records,
		},
		Queues: l.queues, Clusters: l.clusters(), Took: now.Sub(began).Seconds(),
	}
	r.Account(found)
	return r
}
