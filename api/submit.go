package api

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/dispatch"
	"tallyman/internal/stream"
)

// Limits of a batch: how many posts, and how many of them are under way at a time. They share
// SendMessageBatch, so the more at a time, the fewer calls.
const (
	maxBatch      = 1000
	batchInFlight = 128
	batchTimes    = 5 // as long as one request may take
)

// receipt is the answer to a submission and to a requeue.
type receipt struct {
	JobID string         `json:"jobId"`
	Run   int            `json:"run,omitempty"` // of a requeue
	State contract.State `json:"state"`
}

// submission is what every post of a request has in common.
type submission struct{ submitter, key string }

func readSubmission(c *fiber.Ctx) (submission, error) {
	name, err := submitter(c)
	if err != nil {
		return submission{}, err
	}
	key, err := idempotencyKey(c)
	return submission{name, key}, err
}

func (s *Server) submitJob(c *fiber.Ctx) error {
	from, err := readSubmission(c)
	if err != nil {
		return err
	}
	body, err := jsonBody(c, maxPostBody)
	if err != nil {
		return err
	}
	ctx, cancel := s.work()
	defer cancel()
	r, err := s.submit(dispatch.WithTrace(ctx, traceParent(c)), from, body)
	if err != nil {
		return err
	}
	return s.given(c, r)
}

// given answers 202 and says where the job is to be read.
func (s *Server) given(c *fiber.Ctx, r receipt) error {
	c.Locals(localJobID, r.JobID)
	c.Set(fiber.HeaderLocation, "/jobs/"+r.JobID)
	return c.Status(fiber.StatusAccepted).JSON(r)
}

// submit makes the job that body asks for. With a key it may exist: unless the ledger holds its first run as
// accepted still, it is answered with its state and nothing is sent. What the ledger does not know, the claims may.
func (s *Server) submit(ctx context.Context, from submission, body []byte) (receipt, error) {
	p, err := readPost(body)
	if err != nil {
		return receipt{}, err
	}
	if err := s.settle(&p); err != nil {
		return receipt{}, err
	}
	if from.key == "" {
		t := p.task(s.newID(), from.submitter, s.now())
		return s.dispatched(ctx, t)
	}
	t := p.task(contract.KeyID(from.submitter, from.key), from.submitter, s.now())
	job, err := s.ledger.job(ctx, t.JobID)
	if errors.Is(err, stream.ErrNotFound) { // not yet, or no more
		state, err := s.dispatch.SubmitKeyed(ctx, t)
		if errors.Is(err, dispatch.ErrOtherWork) {
			err = otherWork(t.JobID)
		}
		return receipt{JobID: t.JobID, State: state}, err
	}
	if err != nil {
		return receipt{}, err
	}
	if t, err = s.again(ctx, &job, t); err != nil {
		return receipt{}, err
	}
	if job.Run > 1 || job.State != contract.StateAccepted {
		return receipt{JobID: t.JobID, State: job.State}, nil
	}
	return s.dispatched(ctx, t)
}

func (s *Server) dispatched(ctx context.Context, t contract.Task) (receipt, error) {
	state, err := s.dispatch.Submit(ctx, t)
	return receipt{JobID: t.JobID, State: state}, err
}

// again gives the task that a job was first posted with. A key that comes back with other work is a
// mistake of the client's, and the one job must not run with two payloads.
func (s *Server) again(ctx context.Context, job *contract.Job, t contract.Task) (contract.Task, error) {
	first, err := s.taskOf(ctx, job, 1)
	switch {
	case errors.Is(err, stream.ErrNotFound):
		return t, nil // it has aged out; the job's state is all that is left
	case err != nil:
		return t, err
	case !dispatch.SameWork(&first, &t):
		return t, otherWork(t.JobID)
	}
	return first, nil
}

func otherWork(jobID string) error {
	return contract.Errorf(contract.CodeConflict, headerKey, "this key has made job %s, which is other work; choose another key", jobID)
}

// batchItem is what became of one post of a batch.
type batchItem struct {
	Index  int            `json:"index"`
	Status int            `json:"status"`
	JobID  string         `json:"jobId,omitempty"`
	State  contract.State `json:"state,omitempty"`
	Error  *problem       `json:"error,omitempty"`
}

type batchResult struct {
	Accepted int         `json:"accepted"`
	Refused  int         `json:"refused"`
	Results  []batchItem `json:"results"`
}

func (s *Server) submitBatch(c *fiber.Ctx) error {
	from, err := readSubmission(c)
	if err != nil {
		return err
	}
	body, err := jsonBody(c, maxBatchBody)
	if err != nil {
		return err
	}
	posts, err := splitList(body, maxBatch)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, batchTimes*s.timeout)
	defer cancel()
	ctx = dispatch.WithTrace(ctx, traceParent(c))
	id := s.requestID(c)
	result := batchResult{Results: make([]batchItem, len(posts))}
	var work errgroup.Group
	var next atomic.Int64
	for range min(batchInFlight, len(posts)) { // each takes post after post: a stack is grown once, not for each
		work.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(posts); i = int(next.Add(1)) - 1 {
				result.Results[i] = s.submitOne(ctx, from.at(i), posts[i], i, id)
			}
			return nil
		})
	}
	_ = work.Wait() // each result holds its own error
	return s.batchAnswer(c, &result)
}

// at is the submission of the nth post of a batch: a key covers them all.
func (from submission) at(n int) submission {
	if from.key != "" {
		from.key += "/" + strconv.Itoa(n)
	}
	return from
}

func (s *Server) submitOne(ctx context.Context, from submission, raw []byte, index int, requestID string) batchItem {
	if len(raw) > maxPostBody {
		p, _ := problemOf(contract.Errorf(contract.CodeTooLarge, "", "%d bytes of post, at most %d are allowed", len(raw), maxPostBody))
		p.RequestID = requestID
		return batchItem{Index: index, Status: p.Status, Error: &p}
	}
	r, err := s.submitCaught(ctx, from, raw)
	if err == nil {
		return batchItem{Index: index, Status: fiber.StatusAccepted, JobID: r.JobID, State: r.State}
	}
	p, ours := problemOf(err)
	p.RequestID, p.Errors = requestID, p.Errors[:min(len(p.Errors), maxBatchFaults)]
	if ours {
		s.log.Error("post of a batch went wrong", "requestId", requestID, "index", index, "error", err)
	}
	return batchItem{Index: index, Status: p.Status, Error: &p}
}

// submitCaught is submit outside the request's own goroutine, where a panic would end the program.
func (s *Server) submitCaught(ctx context.Context, from submission, raw []byte) (r receipt, err error) {
	defer caught(&err)
	return s.submit(ctx, from, raw)
}

// batchAnswer counts. Where nothing at all could be recorded, the whole batch is unavailable.
func (s *Server) batchAnswer(c *fiber.Ctx, result *batchResult) error {
	unavailable := 0
	for _, item := range result.Results {
		switch item.Status {
		case fiber.StatusAccepted:
			result.Accepted++
		case fiber.StatusServiceUnavailable:
			unavailable++
		}
	}
	if unavailable == len(result.Results) {
		return stream.ErrUnavailable
	}
	result.Refused = len(result.Results) - result.Accepted
	return c.JSON(result)
}

var traceForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceParent gives the W3C trace context of the request, "" where it has none that is valid.
func traceParent(c *fiber.Ctx) string {
	if t := c.Get(contract.HeaderTraceParent); traceForm.MatchString(t) {
		return t
	}
	return ""
}
