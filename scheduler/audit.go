package scheduler

import (
	"context"
	"time"
)

// auditAgain is when an audit is made again that left something open: what is suspected is named or forgotten
// then, and what was mended does not stay on the list.
const auditAgain = time.Minute

// audit holds the books to the world until ctx ends. Of the rounds that are due every minute, it leaves out
// those behind a clean one until AuditEvery has gone by.
func (s *Scheduler) audit(ctx context.Context) error {
	var next time.Time
	return every(ctx, s.o.Clock, s.o.Log, "audit", min(auditAgain, s.o.AuditEvery), func(ctx context.Context) error {
		began := s.o.Clock.Now()
		if began.Before(next) {
			return nil
		}
		clean, err := s.o.Auditor.Round(ctx)
		if next = (time.Time{}); err == nil && clean {
			next = began.Add(s.o.AuditEvery)
		}
		return err
	})
}
