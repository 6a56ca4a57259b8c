package api

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// auditTimeout bounds one audit that a client asked for: a replay of the log, and what is looked at again.
const auditTimeout = time.Minute

// audits is the last report of the scheduler's leader, watched, and whoever makes one now.
type audits struct {
	auditor Auditor
	under   chan struct{} // one at a time
	last    atomic.Pointer[[]byte]
}

func newAudits(a Auditor) *audits { return &audits{auditor: a, under: make(chan struct{}, 1)} }

// run watches the bucket "audit", and shows what changes with the books.
func (s *Server) runAudits(ctx context.Context, bucket Watcher) error {
	return bucket.Watch(ctx, contract.KeyReport, func(e stream.Entry) error {
		if e.Deleted {
			s.audits.last.Store(nil)
			s.ledger.audited(nil)
			return nil
		}
		r, err := contract.DecodeAudit(e.Value)
		if err != nil {
			s.log.Error("audit report cannot be read", "error", err)
			return nil
		}
		s.audits.last.Store(&e.Value)
		s.ledger.audited(r.Summary())
		return nil
	}, func() error { return nil })
}

// lastAudit answers with the last report of the scheduler's leader.
func (s *Server) lastAudit(c *fiber.Ctx) error {
	last := s.audits.last.Load()
	if last == nil {
		return contract.Errorf(contract.CodeNotFound, "", "nothing was audited yet; the scheduler's leader does so every ten minutes, POST makes one now")
	}
	return answerTagged(c, newTagged(*last))
}

// auditNow makes a report for this client alone; the one that others see is not replaced.
func (s *Server) auditNow(c *fiber.Ctx) error {
	select {
	case s.audits.under <- struct{}{}:
		defer func() { <-s.audits.under }()
	default:
		return contract.Errorf(contract.CodeTooMany, "", "somebody audits already, which is much work; try again later")
	}
	ctx, cancel := context.WithTimeout(s.leaving, auditTimeout)
	defer cancel()
	r, err := s.audits.auditor.Run(ctx)
	if ctx.Err() != nil {
		return contract.Errorf(contract.CodeUnavailable, "", "the audit did not end in %s; GET has the last one of the scheduler's leader", auditTimeout)
	}
	if err != nil {
		return err
	}
	b, err := json.Marshal(&r)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderETag, string(newTagged(b).etag))
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(b) // whatever the client has: this is another one
}
