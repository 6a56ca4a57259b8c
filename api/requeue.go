package api

import (
	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/dispatch"
)

// requeueJob makes the run that follows the one it names. A repeat follows the same run's `next`, and where
// the ledger knows that run to be under way, nothing is sent again.
func (s *Server) requeueJob(c *fiber.Ctx) error {
	body, err := jsonBody(c, maxPostBody)
	if err != nil {
		return err
	}
	run, err := readRun(body)
	if err != nil {
		return err
	}
	job, err := s.jobOf(c)
	if err != nil {
		return err
	}
	ended := runOf(&job, or(run, job.Run))
	switch {
	case ended == nil:
		return contract.Errorf(contract.CodeInvalidValue, "run", "job %s has no run %d; its newest is %d", job.JobID, run, job.Run)
	case ended.Outcome == contract.OutcomeNone:
		return contract.Errorf(contract.CodeConflict, "", "run %d of job %s has not ended; cancel it first", ended.Run, job.JobID)
	}
	ctx, cancel := s.work()
	defer cancel()
	t, err := s.taskOf(ctx, &job, ended.Run)
	if err != nil {
		return taskGone(err, &job)
	}
	next, err := s.dispatch.Successor(ctx, t, contract.FromRequeue, contract.Time{})
	if err != nil {
		return err
	}
	if known := runOf(&job, next.Run); known != nil && (job.Run > next.Run || job.State != contract.StateAccepted) {
		return s.given(c, receipt{JobID: job.JobID, Run: next.Run, State: job.State})
	}
	r, err := s.dispatched(dispatch.WithTrace(ctx, traceParent(c)), next)
	if err != nil {
		return err
	}
	r.Run = next.Run
	return s.given(c, r)
}

// readRun gives the run that a requeue names, 0 for the newest.
func readRun(body []byte) (int, error) {
	if body == nil {
		return 0, nil
	}
	f, err := openForm(body)
	if err != nil {
		return 0, err
	}
	run := f.integer("run", 1, contract.MaxRun)
	return run, f.done()
}
