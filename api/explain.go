package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/api/explain"
	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// explainTimeout is what each source has to answer in. All are asked at once, so it is also what an
// explanation takes at most: one that does not answer is a line of the evidence.
const explainTimeout = 2 * time.Second

// maxAhead is how far jobs that wait before another are counted.
const maxAhead = 10_000

// Counter says what SQS holds; *queue.Client is one.
type Counter interface {
	Counts(ctx context.Context, url string) (queue.Counts, error)
}

// Remarks is what Kubernetes said of a queue; *stream.Stream is one.
type Remarks interface {
	// LastScaling gives the newest of each kind.
	LastScaling(ctx context.Context, queue string) ([]contract.Scaling, error)
}

// explainJob says where a job is and what it waits for. What the books cannot tell is asked for now.
func (s *Server) explainJob(c *fiber.Ctx) error {
	job, err := s.jobOf(c)
	if err != nil {
		return err
	}
	x := explain.Explain(s.facts(&job))
	c.Set(fiber.HeaderCacheControl, "no-cache")
	return c.JSON(x)
}

// facts gathers what there is to know of a job, from all sources at once.
func (s *Server) facts(job *contract.Job) *explain.Facts {
	ctx, cancel := context.WithTimeout(s.base, explainTimeout)
	defer cancel()
	f := &explain.Facts{
		Job: *job, Config: s.config.Queue(job.Queue), AcceptedAfter: s.acceptedAfter, QueuedAfter: s.queuedAfter,
	}
	var work sync.WaitGroup
	work.Go(func() { s.wordsOf(ctx, f) })
	work.Go(func() { f.FollowUp = s.followUp(ctx, job) })
	work.Go(func() { ask(ctx, &f.Claim, func() (explain.Claim, error) { return s.claimOf(ctx, job) }) })
	if !job.State.Ended() {
		work.Go(func() { ask(ctx, &f.SQS, func() (explain.Counts, error) { return s.countsOf(ctx, f.Config) }) })
		work.Go(func() { ask(ctx, &f.Ahead, func() (explain.Ahead, error) { return s.aheadOf(ctx, job) }) })
		work.Go(func() { ask(ctx, &f.Sight, func() (*contract.Sight, error) { return s.sightOf(ctx, job.Queue) }) })
		work.Go(func() {
			ask(ctx, &f.Said, func() ([]contract.Scaling, error) { return s.remarks.LastScaling(ctx, job.Queue) })
		})
		work.Go(func() { ask(ctx, &f.Stream, func() (explain.Stream, error) { return s.streamOf(ctx) }) })
	}
	work.Wait()
	if p := s.progress.of(job.JobID); p != nil && job.State == contract.StateRunning {
		f.Progress = &explain.Progress{At: p.At.Time, Data: p.Data}
	}
	f.Now = s.now()
	return f
}

// ask fills an answer, and says in our words when a source was too slow.
func ask[T any](ctx context.Context, into *explain.Answer[T], from func() (T, error)) {
	into.Value, into.Fault = from()
	into.At = time.Now()
	if into.Fault != nil && ctx.Err() != nil {
		into.Fault = fmt.Errorf("none within %s", explainTimeout)
	}
}

// wordsOf reads what was said of the job's attempts and of its failure, and when its task may begin.
func (s *Server) wordsOf(ctx context.Context, f *explain.Facts) {
	v := s.view(ctx, &f.Job)
	f.Message = v.Message
	f.Task = explain.Task{NotBefore: v.NotBefore.Time, Timeout: time.Duration(v.TimeoutSeconds) * time.Second}
	if f.Config != nil && f.Task.Timeout == 0 {
		f.Task.Timeout = time.Duration(f.Config.Timeout)
		if t := f.Config.Type(f.Job.Type); t != nil {
			f.Task.Timeout = time.Duration(t.Timeout)
		}
	}
	for _, a := range v.Attempts {
		f.Attempts = append(f.Attempts, contract.AttemptOf{
			Run: a.Run, Attempt: a.Attempt, StartedAt: a.StartedAt, EndedAt: a.EndedAt, Ending: a.Ending, Reason: a.Reason,
			ExitCode: a.ExitCode, Message: a.Message, Tail: a.Tail, Pod: a.PodName, Node: a.Node,
		})
	}
}

// claimOf reads the run's record and that of the unit which owns it. A record that is not there is an answer.
func (s *Server) claimOf(ctx context.Context, job *contract.Job) (c explain.Claim, err error) {
	e, err := s.claims.Get(ctx, contract.RunKey(job.Queue, job.JobID, job.Run))
	if isNotFound(err) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	run, err := contract.DecodeRun(e.Value)
	if err != nil {
		return c, fmt.Errorf("decode %s: %w", e.Key, err)
	}
	if c.Run = &run; run.Owner == "" {
		return c, nil
	}
	e, err = s.claims.Get(ctx, contract.UnitKey(job.Queue, run.Owner))
	if isNotFound(err) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	unit, err := contract.DecodeUnit(e.Value)
	if err != nil {
		return c, fmt.Errorf("decode %s: %w", e.Key, err)
	}
	c.Unit = &unit
	return c, nil
}

var errNoConfig = errors.New("the configuration has no such queue any more")

func (s *Server) countsOf(ctx context.Context, q *contract.Queue) (explain.Counts, error) {
	if q == nil {
		return explain.Counts{}, errNoConfig
	}
	n, err := s.counter.Counts(ctx, q.URL)
	if errors.Is(err, queue.ErrNoQueue) {
		return explain.Counts{Missing: true}, nil
	}
	return explain.Counts{Visible: n.Visible, InFlight: n.InFlight, Delayed: n.Delayed}, err
}

// aheadOf counts the jobs of the queue that wait longer. SQS keeps no order, but gives the old ones first.
func (s *Server) aheadOf(ctx context.Context, job *contract.Job) (explain.Ahead, error) {
	n, err := s.ledger.index.waitingBehind(ctx, job.Queue, cursor{job.SubmittedAt.UnixMilli(), job.JobID}, maxAhead+1)
	return explain.Ahead{Jobs: min(n, maxAhead), Most: n > maxAhead}, err
}

// sightOf reads what the bridge saw; nil where none has ever looked at the queue.
func (s *Server) sightOf(ctx context.Context, name string) (*contract.Sight, error) {
	e, err := s.claims.Get(ctx, contract.SightKey(name))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var v contract.Sight
	if err := json.Unmarshal(e.Value, &v); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Key, err)
	}
	return &v, nil
}

// streamOf compares how far the stream and the ledger are.
func (s *Server) streamOf(ctx context.Context) (explain.Stream, error) {
	asOf := s.ledger.books.asOf()
	info, err := s.events.Info(ctx)
	if err != nil {
		return explain.Stream{}, err
	}
	v := explain.Stream{Last: info.Last, AsOf: asOf}
	if info.Last > asOf.Seq {
		e, err := s.events.Event(ctx, max(asOf.Seq+1, info.First))
		switch v.Oldest = e.At; {
		case errors.Is(err, stream.ErrBehind): // it is so new that not every server has it
			v.Oldest = s.now()
		case err != nil && !isNotFound(err):
			return v, err
		}
	}
	return v, nil
}
