package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// relay helps runs on that the ledger says have not been claimed: it sends their tasks again, or ends
// them. A second copy of a task that was not lost is dropped by the claim, so it may err on the side of
// sending; its patience keeps it from sending for ever at full speed.
type relay struct {
	ledger   Ledger
	events   Events
	dispatch Dispatcher
	config   *contract.Config
	clock    clockwork.Clock
	log      *slog.Logger

	acceptedAfter, queuedAfter, expireAfter time.Duration

	tried patiences
	idle  idleness
}

// relayAtOnce bounds the sendings under way; those of one queue share batches.
const relayAtOnce = 32

func newRelay(o *Options) *relay {
	return &relay{
		ledger: o.Ledger, events: o.Events, dispatch: o.Dispatcher, config: &o.Config, clock: o.Clock, log: o.Log,
		acceptedAfter: o.AcceptedAfter, queuedAfter: o.QueuedAfter, expireAfter: o.ExpireAfter,
		tried: make(patiences),
		idle:  idleness{counter: o.Counter, config: &o.Config, clock: o.Clock, queues: make(map[string]*idle)},
	}
}

// round reads what needs attention and does what is due; the document bounds how much that is.
func (r *relay) round(ctx context.Context) error {
	a, err := readAttention(ctx, r.ledger)
	if err != nil {
		return err
	}
	r.tried.keep(a.Accepted, a.Queued)
	var errs []error
	if r.queuedAfter > 0 {
		errs = append(errs, r.idle.look(ctx, a.Queued))
	}
	errs = append(errs, r.expire(ctx, &a), r.send(ctx, r.due(&a)))
	return errors.Join(errs...)
}

func readAttention(ctx context.Context, ledger Ledger) (contract.Attention, error) {
	var a contract.Attention
	e, err := ledger.Get(ctx, contract.KeyAttention)
	switch {
	case errors.Is(err, stream.ErrNotFound): // the aggregator has not written yet
		return a, nil
	case err != nil:
		return a, err
	}
	if err := json.Unmarshal(e.Value, &a); err != nil {
		return a, fmt.Errorf("jobs/%s: %w", contract.KeyAttention, err)
	}
	return a, nil
}

// help is one run to be sent again, and how long to wait before it is sent once more.
type help struct {
	item *contract.AttentionItem
	wait time.Duration
}

// due picks the runs that have waited long enough.
func (r *relay) due(a *contract.Attention) []help {
	var all []help
	now := r.clock.Now()
	pick := func(it *contract.AttentionItem, wait time.Duration) {
		if now.Sub(it.Since.Time) >= wait && !r.tried.of(it).next.After(now) {
			all = append(all, help{it, wait})
		}
	}
	for i := range a.Accepted {
		pick(&a.Accepted[i], r.acceptedAfter)
	}
	for i := range a.Queued {
		it := &a.Queued[i]
		if r.queuedAfter > 0 && r.idle.lasted(it.Queue, r.queuedAfter) && !r.overdue(it) {
			pick(it, r.queuedAfter)
		}
	}
	return all
}

// errAway stands for a sending that was spared, since another to the same queue had just failed.
var errAway = errors.New("the queue is away")

// send sends them again, many at one time, and then remembers how it went.
func (r *relay) send(ctx context.Context, due []help) error {
	errs := make([]error, len(due))
	var away sync.Map // queues that did not take a message in this round
	var g errgroup.Group
	g.SetLimit(relayAtOnce)
	for i, h := range due {
		g.Go(func() error {
			if _, is := away.Load(h.item.Queue); is {
				errs[i] = errAway
				return nil
			}
			errs[i] = r.resend(ctx, h.item)
			if errors.Is(errs[i], queue.ErrUnavailable) || errors.Is(errs[i], queue.ErrNoQueue) {
				away.Store(h.item.Queue, true)
			}
			return nil
		})
	}
	_ = g.Wait() // every error is in errs
	var first error
	for i, h := range due {
		if err := r.remember(h, errs[i]); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// errEarly: the run's time has not come, and SQS cannot hold a message back for so long.
var errEarly = errors.New("not yet")

// resend reads the task where it was said first, and sends it again.
func (r *relay) resend(ctx context.Context, it *contract.AttentionItem) error {
	st, err := r.events.Event(ctx, it.TaskSeq)
	if err != nil {
		return err
	}
	t, err := contract.DecodeTask(st.Event.Task)
	switch {
	case st.Fault != nil:
		return st.Fault
	case err != nil:
		return err
	case t.JobID != it.JobID || t.Run != it.Run:
		return contract.Errorf(contract.CodeInvalidValue, "taskSeq", "event %d is of run %d of job %s", it.TaskSeq, t.Run, t.JobID)
	case t.NotBefore.Sub(r.clock.Now()) > contract.MaxDelaySeconds*time.Second:
		return errEarly
	}
	err = r.dispatch.Resend(ctx, t)
	if refusal, is := errors.AsType[*queue.Refusal](err); is {
		return r.refused(ctx, t, refusal)
	}
	return err
}

// errEnded: the run is over, and the ledger is about to hear it.
var errEnded = errors.New("ended, since SQS does not take its task")

// refused ends a run whose task SQS takes from nobody: it would be tried for ever, and its place in the document of
// what needs attention would be another's. Where a unit owns the run, which an earlier copy led to, it goes on.
func (r *relay) refused(ctx context.Context, t contract.Task, refusal *queue.Refusal) error {
	if err := r.dispatch.Fail(ctx, t, contract.ClaimError, refusal.Error()); err != nil {
		return err
	}
	return errEnded
}

// remember keeps how a sending went, and gives the error where NATS or SQS is to blame.
func (r *relay) remember(h help, err error) error {
	p, now := r.tried.of(h.item), r.clock.Now()
	_, refused := errors.AsType[*contract.Error](err)
	log := r.log.With("jobId", h.item.JobID, "run", h.item.Run, "queue", h.item.Queue)
	switch {
	case err == nil:
		p.hopeless = false
		p.lengthen(now, h.wait)
		log.Info("sent again")
	case errors.Is(err, errEnded):
		p.lengthen(now, h.wait)
		log.Warn("a run whose task SQS does not take has ended")
	case errors.Is(err, errEarly), errors.Is(err, errAway):
		p.next = now.Add(waitAfter)
	case refused || errors.Is(err, stream.ErrNotFound):
		p.hopeless = true
		p.lengthen(now, h.wait)
		log.Warn("cannot be sent again", "error", err)
	default:
		p.next = now.Add(waitAfter)
		return err
	}
	return nil
}
