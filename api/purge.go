package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
)

// Limits of one purge: how many jobs it looks at, how many cancels are under way at a time, how long it may take at
// the most; it begins no more of them once it has taken as long as any request may.
const (
	maxPurge      = 1000
	purgeInFlight = 64
	purgeTimes    = 5         // as long as one request may take
	maxCount      = 1_000_000 // of what remains
)

// purged is the answer to POST /queues/{queue}/purge.
type purged struct {
	Queue     string `json:"queue"`
	Cancelled int    `json:"cancelled"`
	Remaining int    `json:"remaining"`
	Next      string `json:"next,omitempty"`
}

// purge is a queue that is being emptied, newest jobs first, so that few are met that begin meanwhile.
type purge struct {
	queue string
	limit int
	asked uint64 // the stream's end when it was asked for: what came behind it stays
	after cursor
}

// mark is where the next request goes on; what it spares is the same for all of them.
func (p *purge) mark() string { return strconv.FormatUint(p.asked, 10) + "." + p.after.String() }

func (p *purge) parse(mark string) bool {
	asked, after, _ := strings.Cut(mark, ".")
	var err error
	var ok bool
	p.asked, err = strconv.ParseUint(asked, 10, 64)
	p.after, ok = parseCursor(after)
	return err == nil && ok && p.asked > 0
}

// readPurge refuses a body too: whoever puts a limit there means to cancel less than all.
func readPurge(c *fiber.Ctx) (purge, error) {
	if len(bytes.TrimSpace(c.Request().Body())) > 0 {
		return purge{}, contract.Errorf(contract.CodeInvalidValue, "", "a purge has no body, and nothing was cancelled; limit and cursor stand in the URL, like ?limit=0")
	}
	params := readParams(c, "limit", "cursor")
	p := purge{queue: c.Params("queue"), limit: params.integer("limit", 0, maxPurge, maxPurge)}
	params.word("cursor", "the `next` of the purge before", p.parse)
	return p, params.done()
}

// purgeQueue cancels what waits in a queue, as DELETE of each job would; what has begun is left alone.
func (s *Server) purgeQueue(c *fiber.Ctx) error {
	p, err := readPurge(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, purgeTimes*s.timeout)
	defer cancel()
	leave, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	end, err := s.caughtUp(ctx)
	if err != nil {
		return err
	}
	if p.asked == 0 {
		p.asked = end
	}
	answer, err := s.purge(ctx, &p)
	if err != nil {
		return err
	}
	s.log.Info("purged", "requestId", s.requestID(c), "queue", p.queue, "cancelled", answer.Cancelled, "remaining", answer.Remaining)
	return c.JSON(answer)
}

// takeTurn waits a little while somebody else purges.
func (s *Server) takeTurn(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.purging <- struct{}{}:
		return func() { <-s.purging }, nil
	case <-ctx.Done():
		return nil, contract.Errorf(contract.CodeTooMany, "", "somebody else purges, which is much work; try again soon")
	}
}

// caughtUp waits until the books hold all that the stream held when it was asked, and says where that ended: a job
// that was answered for a moment ago must not be passed over.
func (s *Server) caughtUp(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.ledger.ready(ctx); err != nil {
		return 0, err
	}
	info, err := s.events.Info(ctx)
	if err != nil {
		return 0, err
	}
	for {
		more := s.ledger.books.next()
		behind := int64(info.Last) - int64(s.ledger.books.asOf().Seq)
		if behind <= 0 {
			return info.Last, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, contract.Errorf(contract.CodeUnavailable, "", "what waits cannot be said yet: the books are %d events behind; ask again", behind)
		}
	}
}

// purge takes the next jobs that wait and ends them. Of a queue that is no longer configured too: there it is the
// only way to be rid of them.
func (s *Server) purge(ctx context.Context, p *purge) (purged, error) {
	answer := purged{Queue: p.queue}
	first := p.after == cursor{}
	docs, err := s.ledger.index.page(ctx, query{waiting: true, queue: p.queue, after: p.after, limit: p.limit})
	if err != nil {
		return answer, err
	}
	jobs := make([]contract.Job, len(docs))
	for i := range docs {
		if err := json.Unmarshal(docs[i], &jobs[i]); err != nil {
			return answer, fmt.Errorf("document in the index: %w", err)
		}
	}
	soon, cancel := context.WithTimeout(ctx, s.purgeFor)
	defer cancel()
	for batch := range slices.Chunk(jobs, purgeInFlight) {
		n, err := s.cancelWaiting(ctx, batch, p.asked)
		if err != nil {
			return answer, err
		}
		answer.Cancelled += n
		last := &batch[len(batch)-1]
		p.after = cursor{last.SubmittedAt.UnixMilli(), last.JobID}
		if soon.Err() != nil {
			break // where stores are slow the rest is for the next request
		}
	}
	if answer.Remaining, err = s.ledger.index.waitingBehind(ctx, p.queue, p.after, maxCount); err != nil {
		return answer, err
	}
	switch {
	case answer.Remaining > 0 && len(jobs) > 0:
		answer.Next = p.mark()
	case answer.Remaining == 0 && len(jobs) == 0 && first && s.config.Queue(p.queue) == nil:
		return answer, contract.Errorf(contract.CodeNotFound, "", "there is no such queue, and no job waits in one of that name; there are %s", s.queueNames())
	}
	return answer, nil
}

// cancelWaiting cancels those of the jobs whose run was there when the purge was asked for and which no unit has
// claimed since, all at once, and counts them.
func (s *Server) cancelWaiting(ctx context.Context, jobs []contract.Job, asked uint64) (int, error) {
	work, ctx := errgroup.WithContext(ctx)
	var n atomic.Int64
	for i := range jobs {
		job := &jobs[i]
		if newestRun(job).TaskSeq > asked {
			continue
		}
		work.Go(func() error {
			made, err := s.dispatch.CancelUnclaimed(ctx, contract.Task{
				JobID: job.JobID, Run: job.Run, Queue: job.Queue, Type: job.Type, SubmittedAt: job.SubmittedAt,
			})
			if made {
				n.Add(1)
			}
			if err == nil {
				return nil
			}
			if p, _ := problemOf(err); p.Code != contract.CodeUnavailable { // a record that cannot be read must not keep all others
				s.log.Error("job cannot be purged", "jobId", job.JobID, "run", job.Run, "error", err)
				return nil
			}
			return err
		})
	}
	err := work.Wait()
	return int(n.Load()), err
}
