package api

import (
	"context"
	"encoding/json"

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

// followUp is the run that a job gets by itself; nil where there is none, a cancel forbade it, its task is no longer
// on the stream, without which the scheduler cannot make it, or the scheduler is done with the failure and made none.
// What cannot be read counts as none of these: the scheduler asks again before it acts.
func (s *Server) followUp(ctx context.Context, job *contract.Job) *contract.FollowUp {
	f, ok := s.config.FollowUp(job)
	if !ok {
		return nil
	}
	if _, err := s.events.Event(ctx, newestRun(job).TaskSeq); isNotFound(err) {
		return nil
	}
	decided := s.decided(ctx, job) // before the record: the scheduler writes `next` there, and moves its mark after it
	e, err := s.claims.Get(ctx, contract.RunKey(job.Queue, job.JobID, f.After))
	if err == nil {
		if r, err := contract.DecodeRun(e.Value); err == nil && r.Next.Set {
			decided = r.Next.Run == 0 // else that run is being made, and the books are about to hear it
		}
	}
	if decided {
		return nil
	}
	return &f
}

// decided tells whether the scheduler is done with the failure of a job's newest run, so that it will not look at it
// again: it looks only at what stands behind its mark, or at everything, where the stream was made since.
func (s *Server) decided(ctx context.Context, job *contract.Job) bool {
	info, err := s.events.Info(ctx)
	if err != nil {
		return false
	}
	m := contract.RerunMark{Stream: contract.StreamName(info.Created), Seq: info.Last}
	e, err := s.store.Get(ctx, contract.KeyRerunMark)
	switch {
	case isNotFound(err): // to whoever leads first, what has failed so far is the past
	case err != nil || json.Unmarshal(e.Value, &m) != nil || m.Stream != contract.StreamName(info.Created):
		return false
	}
	newest := newestRun(job)
	if newest.OutcomeSeq > m.Seq {
		return false
	}
	// Others may have said the same failure later, which lets the scheduler look at it again.
	var later []uint64
	for _, seq := range job.Events {
		if seq > m.Seq {
			later = append(later, seq)
		}
	}
	words, complete := s.words.of(ctx, later)
	for _, e := range words {
		if e.Kind == contract.Failed && e.Run == newest.Run {
			return false
		}
	}
	return complete
}

func (s *Server) rerunOf(ctx context.Context, job *contract.Job) *rerunView {
	f := s.followUp(ctx, job)
	if f == nil {
		return nil
	}
	return &rerunView{Run: f.After + 1, At: f.At, Source: f.Source, Number: f.Number, Most: f.Most}
}
