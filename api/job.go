package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/stream"
)

func isNotFound(err error) bool { return errors.Is(err, stream.ErrNotFound) }

// summary is a job in a list.
type summary struct {
	JobID       string          `json:"jobId"`
	Queue       string          `json:"queue"`
	Type        string          `json:"type"`
	State       contract.State  `json:"state"`
	Reason      contract.Reason `json:"reason,omitempty"`
	Message     string          `json:"message,omitempty"`
	Run         int             `json:"run"`
	Attempt     int             `json:"attempt"`
	RetryCount  int             `json:"retryCount"`
	SubmittedAt contract.Time   `json:"submittedAt"`
	StartedAt   contract.Time   `json:"startedAt,omitzero"`
	UpdatedAt   contract.Time   `json:"updatedAt"`
	EndedAt     contract.Time   `json:"endedAt,omitzero"`
}

// view is a job by itself: its document, and the words that were said.
type view struct {
	summary
	Submitter      string              `json:"submitter,omitempty"`
	Source         contract.TaskSource `json:"source,omitempty"`
	Schedule       string              `json:"schedule,omitempty"`
	ScheduledFor   contract.Time       `json:"scheduledFor,omitzero"`
	NotBefore      contract.Time       `json:"notBefore,omitzero"`
	TimeoutSeconds int                 `json:"timeoutSeconds,omitempty"`
	Tags           []string            `json:"tags,omitempty"`
	Result         json.RawMessage     `json:"result,omitempty"`
	Progress       *progressView       `json:"progress,omitempty"`
	Rerun          *rerunView          `json:"rerun,omitempty"`
	Runs           []runView           `json:"runs"`
	Attempts       []attemptView       `json:"attempts"`
	Incomplete     bool                `json:"incomplete,omitempty"`
}

type runView struct {
	Run         int              `json:"run"`
	SubmittedAt contract.Time    `json:"submittedAt,omitzero"`
	QueuedAt    contract.Time    `json:"queuedAt,omitzero"`
	EndedAt     contract.Time    `json:"endedAt,omitzero"`
	Outcome     contract.Outcome `json:"outcome,omitempty"`
	Reason      contract.Reason  `json:"reason,omitempty"`
	Message     string           `json:"message,omitempty"`
}

type attemptView struct {
	Run            int             `json:"run"`
	Attempt        int             `json:"attempt"`
	ClaimedAt      contract.Time   `json:"claimedAt,omitzero"`
	StartedAt      contract.Time   `json:"startedAt,omitzero"`
	EndedAt        contract.Time   `json:"endedAt,omitzero"`
	Ending         contract.Ending `json:"ending,omitempty"`
	Reason         contract.Reason `json:"reason,omitempty"`
	Infrastructure contract.Reason `json:"infrastructure,omitempty"`
	ExitCode       *int            `json:"exitCode,omitempty"`
	Message        string          `json:"message,omitempty"`
	Tail           string          `json:"tail,omitempty"`
	Result         json.RawMessage `json:"result,omitempty"`
	DurationMS     int             `json:"durationMs,omitempty"`
	Unit           string          `json:"unit,omitempty"`
	PodName        string          `json:"podName,omitempty"`
	Node           string          `json:"node,omitempty"`
}

func (s *Server) getJob(c *fiber.Ctx) error {
	job, err := s.jobOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.work()
	defer cancel()
	v := s.view(ctx, &job)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	return c.JSON(v)
}

// jobOf gives the job that the path names.
func (s *Server) jobOf(c *fiber.Ctx) (contract.Job, error) {
	id := c.Params("jobId")
	if !contract.ValidJobID(id) {
		return contract.Job{}, contract.Errorf(contract.CodeNotFound, "", "there is no such job: an id is a UUID in lower case")
	}
	ctx, cancel := s.work()
	defer cancel()
	job, err := s.ledger.job(ctx, id)
	if isNotFound(err) {
		return s.notYet(ctx, id)
	}
	return job, err
}

// notYet waits a moment for the job, and then tells one that is not there from one that the books have not come to:
// who was told 202 must never be told 404. Whatever was accepted before the question stands no later than the
// stream's end as it is now, so what comes in meanwhile keeps no answer from being given.
func (s *Server) notYet(ctx context.Context, id string) (contract.Job, error) {
	info, err := s.events.Info(ctx)
	if err != nil {
		return contract.Job{}, err
	}
	if job, err := s.ledger.await(ctx, id); !isNotFound(err) {
		return job, err
	}
	behind := int64(info.Last) - int64(s.ledger.books.asOf().Seq)
	job, err := s.ledger.job(ctx, id) // once more: the books may have come to it since
	switch {
	case !isNotFound(err):
		return job, err
	case behind > 0:
		return job, contract.Errorf(contract.CodeUnavailable, "", "whether there is a job %s cannot be said yet: the books are %d events behind; ask again", id, behind)
	}
	return job, contract.Errorf(contract.CodeNotFound, "", "there is no job %s, or no more", id)
}

// newestRun gives the run that the job's state is of.
func newestRun(job *contract.Job) *contract.JobRun {
	if r := runOf(job, job.Run); r != nil {
		return r
	}
	return &contract.JobRun{}
}

func runOf(job *contract.Job, run int) *contract.JobRun {
	i := slices.IndexFunc(job.Runs, func(r contract.JobRun) bool { return r.Run == run })
	if i < 0 {
		return nil
	}
	return &job.Runs[i]
}

// failureSeqs names the events whose message tells why the job's newest run ended badly, best first.
func failureSeqs(job *contract.Job) []uint64 {
	if job.Reason == "" {
		return nil
	}
	r := newestRun(job)
	seqs := []uint64{r.OutcomeSeq}
	if n := len(r.Attempts); n > 0 {
		seqs = append(seqs, r.Attempts[n-1].EndingSeq)
	}
	return seqs
}

func summarize(job *contract.Job, words said) summary {
	r := newestRun(job)
	v := summary{
		JobID: job.JobID, Queue: job.Queue, Type: job.Type, State: job.State, Reason: job.Reason, Run: job.Run,
		Attempt: job.Attempt, RetryCount: max(0, job.Attempt-1), SubmittedAt: job.SubmittedAt,
		UpdatedAt: job.UpdatedAt, EndedAt: job.EndedAt,
	}
	if len(r.Attempts) > 0 {
		v.StartedAt = r.Attempts[0].StartedAt
	}
	for _, seq := range failureSeqs(job) {
		if v.Message == "" {
			v.Message = words.at(seq).Message
		}
	}
	return v
}

// view joins the document with what its events say.
func (s *Server) view(ctx context.Context, job *contract.Job) view {
	newest := newestRun(job)
	seqs := append([]uint64{newest.TaskSeq}, latest(job)...)
	for _, r := range slices.Backward(job.Runs) { // the newest first: the number read is bounded
		seqs = append(seqs, r.OutcomeSeq)
		for _, a := range slices.Backward(r.Attempts) {
			seqs = append(seqs, a.EndingSeq)
		}
	}
	words, complete := s.words.of(ctx, seqs)
	v := view{
		summary: summarize(job, words), Incomplete: !complete,
		Runs: make([]runView, 0, len(job.Runs)), Attempts: []attemptView{},
		Result: words.at(newest.OutcomeSeq).Result,
	}
	for i := range job.Runs {
		v.addRun(&job.Runs[i], words)
	}
	v.place(job, words)
	if task, err := contract.DecodeTask(words.at(newest.TaskSeq).Task); err == nil {
		v.Submitter, v.Source, v.Schedule, v.ScheduledFor = task.Submitter, task.Source, task.Schedule, task.ScheduledFor
		v.NotBefore, v.TimeoutSeconds, v.Tags = task.NotBefore, task.TimeoutSeconds, task.Tags
	}
	v.Rerun = s.rerunOf(ctx, job)
	if job.State == contract.StateRunning {
		v.Progress = s.progress.of(job.JobID)
	}
	return v
}

func (v *view) addRun(r *contract.JobRun, words said) {
	v.Runs = append(v.Runs, runView{
		Run: r.Run, SubmittedAt: r.SubmittedAt, QueuedAt: r.QueuedAt, EndedAt: r.EndedAt, Outcome: r.Outcome,
		Reason: r.Reason, Message: words.at(r.OutcomeSeq).Message,
	})
	for _, a := range r.Attempts {
		e := words.at(a.EndingSeq)
		v.Attempts = append(v.Attempts, attemptView{
			Run: r.Run, Attempt: a.Attempt, ClaimedAt: a.ClaimedAt, StartedAt: a.StartedAt, EndedAt: a.EndedAt,
			Ending: a.Ending, Reason: a.Reason, Infrastructure: a.Infrastructure, ExitCode: e.ExitCode,
			Message: e.Message, Tail: e.Tail, Result: e.Result, DurationMS: e.DurationMS, Unit: e.Unit,
			PodName: e.PodName, Node: e.Node,
		})
	}
}

// latest names the events in which an attempt that is under way began: they are among a job's last.
func latest(job *contract.Job) []uint64 {
	if job.State != contract.StateRunning {
		return nil
	}
	return job.Events[max(0, len(job.Events)-4):]
}

// place says where the newest attempt is at work. Of one that has ended the ending says it.
func (v *view) place(job *contract.Job, words said) {
	if len(v.Attempts) == 0 {
		return
	}
	a := &v.Attempts[len(v.Attempts)-1]
	for _, seq := range latest(job) {
		if e := words.at(seq); a.Ending == "" && e.Run == a.Run && e.Attempt == a.Attempt {
			a.Unit, a.PodName, a.Node = cmp.Or(e.Unit, a.Unit), cmp.Or(e.PodName, a.PodName), cmp.Or(e.Node, a.Node)
		}
	}
}

// taskOf reads a run's task from the stream; stream.ErrNotFound where it has aged out.
func (s *Server) taskOf(ctx context.Context, job *contract.Job, run int) (contract.Task, error) {
	r := runOf(job, run)
	if r == nil || r.TaskSeq == 0 {
		return contract.Task{}, fmt.Errorf("task of %s/%d: %w", job.JobID, run, stream.ErrNotFound)
	}
	e, err := s.words.read(ctx, r.TaskSeq)
	if err != nil {
		return contract.Task{}, err
	}
	t, err := contract.DecodeTask(e.Task)
	if err != nil {
		return t, fmt.Errorf("task of %s/%d, event %d: %w", job.JobID, run, r.TaskSeq, err)
	}
	return t, nil
}
