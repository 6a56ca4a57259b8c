package api

import (
	"context"

	"tallyman/contract"
)

// rerunView is the run that a failed job gets by itself.
type rerunView struct {
	Run    int                 `json:"run"`
	At     contract.Time       `json:"at"`
	Source contract.TaskSource `json:"source"`
	Number int                 `json:"number"`
	Most   int                 `json:"most"`
}

// followUp is the run that a job gets by itself; nil where there is none, a cancel forbade it, or its task is no longer
// on the stream, without which the scheduler cannot make it. What cannot be read counts as neither: the scheduler asks
// again before it acts.
func (s *Server) followUp(ctx context.Context, job *contract.Job) *contract.FollowUp {
	f, ok := s.config.FollowUp(job)
	if !ok {
		return nil
	}
	if _, err := s.events.Event(ctx, newestRun(job).TaskSeq); isNotFound(err) {
		return nil
	}
	e, err := s.claims.Get(ctx, contract.RunKey(job.Queue, job.JobID, f.After))
	if err != nil {
		return &f
	}
	if r, err := contract.DecodeRun(e.Value); err == nil && r.Next.Set && r.Next.Run == 0 {
		return nil
	}
	return &f
}

func (s *Server) rerunOf(ctx context.Context, job *contract.Job) *rerunView {
	f := s.followUp(ctx, job)
	if f == nil {
		return nil
	}
	return &rerunView{Run: f.After + 1, At: f.At, Source: f.Source, Number: f.Number, Most: f.Most}
}
