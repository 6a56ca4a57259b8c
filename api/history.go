package api

import (
	"encoding/json"
	"sync"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/feed"
)

// storedEvent is a CloudEvent as the stream has it.
type storedEvent struct {
	Seq   uint64          `json:"seq"`
	At    contract.Time   `json:"at"`
	Event json.RawMessage `json:"event"`
}

type jobHistory struct {
	JobID  string         `json:"jobId"`
	State  contract.State `json:"state"`
	Events []storedEvent  `json:"events"`
	More   int            `json:"more,omitempty"`
}

// listEvents gives every wanted event of a job that is still kept, in the order of the stream.
func (s *Server) listEvents(c *fiber.Ctx, job *contract.Job, f *feed.Filter) error {
	ctx, cancel := s.work()
	defer cancel()
	all := make([]storedEvent, len(job.Events))
	var work errgroup.Group
	work.SetLimit(wordsReaders)
	var mu sync.Mutex
	gone := job.More
	for i, seq := range job.Events {
		work.Go(func() error {
			st, err := s.events.Event(ctx, seq)
			if isNotFound(err) {
				mu.Lock()
				gone++
				mu.Unlock()
				return nil
			}
			if err != nil || !f.Wants(&st) {
				return err
			}
			all[i] = storedEvent{Seq: st.Seq, At: contract.At(st.At), Event: st.Raw}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	answer := jobHistory{JobID: job.JobID, State: job.State, Events: make([]storedEvent, 0, len(all)), More: gone}
	for _, e := range all {
		if e.Seq > 0 {
			answer.Events = append(answer.Events, e)
		}
	}
	return c.JSON(answer)
}

// jobLogs gives the end of an attempt's output, as the processor kept it.
func (s *Server) jobLogs(c *fiber.Ctx) error {
	p := readParams(c, "run", "attempt")
	run := p.integer("run", 1, contract.MaxRun, 0)
	attempt := p.integer("attempt", 1, contract.MaxAttempts+1, 0)
	if err := p.done(); err != nil {
		return err
	}
	job, err := s.jobOf(c)
	if err != nil {
		return err
	}
	run = or(run, job.Run)
	if r := runOf(&job, run); r != nil && attempt == 0 {
		attempt = max(1, len(r.Attempts))
	}
	ctx, cancel := s.work()
	defer cancel()
	e, err := s.output.Get(ctx, contract.OutputKey(job.Queue, job.JobID, run, max(1, attempt)))
	if isNotFound(err) {
		return contract.Errorf(contract.CodeNotFound, "", "attempt %d of run %d has left no output (yet), or it is no longer kept", max(1, attempt), run)
	}
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMETextPlainCharsetUTF8)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	return c.Send(e.Value)
}
