package api

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// cancelled is the answer to DELETE /jobs/{jobId}.
type cancelled struct {
	JobID           string         `json:"jobId"`
	Run             int            `json:"run"`
	State           contract.State `json:"state"`
	CancelRequested bool           `json:"cancelRequested"`
}

// cancelJob ends a job by request. What the ledger holds as failed goes on to the records all the same:
// a rerun may be due, and the record is where that is stopped. So does what ended well or was cancelled and has been
// requeued since, of which the ledger may not have heard; any other run that has ended is left as it is.
func (s *Server) cancelJob(c *fiber.Ctx) error {
	job, err := s.jobOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.work()
	defer cancel()
	if job.State == contract.StateSucceeded || job.State == contract.StateCancelled {
		if again, err := s.requeued(ctx, &job); err != nil || !again {
			return or(err, hasEnded(&job))
		}
	}
	t, err := s.taskOf(ctx, &job, job.Run)
	if err != nil {
		return taskGone(err, &job)
	}
	pending := s.followUp(ctx, &job) != nil
	done, err := s.dispatch.Cancel(ctx, t, func(run int) bool {
		r := runOf(&job, run)
		return r != nil && r.Outcome != contract.OutcomeNone
	})
	if pending && contract.CodeOf(err) == contract.CodeConflict && s.followUp(ctx, &job) == nil { // the rerun is cancelled
		return c.Status(fiber.StatusAccepted).JSON(cancelled{JobID: job.JobID, Run: job.Run, State: job.State})
	}
	if err != nil {
		return err
	}
	answer := cancelled{JobID: job.JobID, Run: done.Run, State: contract.StateCancelled, CancelRequested: done.Asked}
	if done.Asked {
		answer.State = s.stateNow(&job)
	}
	return c.Status(fiber.StatusAccepted).JSON(answer)
}

// requeued tells whether the newest run that the ledger knows has a successor. Once set it stays, so whoever cancels
// from there on follows it, and writes nothing to the run that has ended.
func (s *Server) requeued(ctx context.Context, job *contract.Job) (bool, error) {
	e, err := s.claims.Get(ctx, contract.RunKey(job.Queue, job.JobID, job.Run))
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r, err := contract.DecodeRun(e.Value)
	if err != nil {
		return true, nil // the cancel reads it too, and names it
	}
	return r.Next.Run > 0, nil
}

// stateNow is what a job that a unit owns is in: the ledger may not have heard of the claim yet.
func (s *Server) stateNow(job *contract.Job) contract.State {
	if job.State == contract.StateRetrying {
		return job.State
	}
	return contract.StateRunning
}

func hasEnded(job *contract.Job) error {
	return contract.Errorf(contract.CodeConflict, "", "job %s has ended: it %s", job.JobID, stateWord(job.State))
}

func stateWord(state contract.State) string {
	if state == contract.StateCancelled {
		return "was cancelled"
	}
	return string(state)
}

// taskGone turns a task that the stream no longer has, or a server of it not yet, into what a client can understand.
func taskGone(err error, job *contract.Job) error {
	switch {
	case isNotFound(err):
		return contract.Errorf(contract.CodeConflict, "", "the task of job %s is no longer kept", job.JobID)
	case errors.Is(err, stream.ErrBehind):
		return contract.Errorf(contract.CodeUnavailable, "", "the task of job %s cannot be read yet: a server of NATS is behind; nothing was done, try again", job.JobID)
	}
	return err
}
