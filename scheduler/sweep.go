package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/queue"
)

// sweep empties the dead-letter queues: SQS put a message there since nobody could take it, time after
// time, and its job ends by that. A message that is no job is left for people to look at.
type sweep struct {
	letters  DeadLetters
	dispatch Dispatcher
	queues   []contract.Queue
	log      *slog.Logger
	wait     time.Duration // for a message
}

const (
	sweepAtOnce     = 8               // queues
	sweepBatch      = 10              // messages, SQS's own limit
	sweepBatches    = 100             // of one queue in one round
	sweepWait       = time.Second     // long enough for SQS to ask all of its servers
	sweepVisibility = 5 * time.Minute // then a message that we could not deal with is received again
	// leaveFor hides a message that is left, or it would be received again and again; an hour later
	// another release of ours may know what it is.
	leaveFor = time.Hour
)

func newSweep(o *Options) *sweep {
	return &sweep{letters: o.DeadLetters, dispatch: o.Dispatcher, queues: o.Config.Queues, log: o.Log, wait: sweepWait}
}

// round goes over all dead-letter queues.
func (s *sweep) round(ctx context.Context) error {
	errs := make([]error, len(s.queues))
	var g errgroup.Group
	g.SetLimit(sweepAtOnce)
	for i := range s.queues {
		if s.queues[i].DeadLetter == "" {
			continue
		}
		g.Go(func() error {
			errs[i] = s.sweepQueue(ctx, &s.queues[i])
			return nil // one queue's trouble is not another's
		})
	}
	_ = g.Wait() // every error is in errs
	return errors.Join(errs...)
}

func (s *sweep) sweepQueue(ctx context.Context, q *contract.Queue) error {
	for range sweepBatches {
		letters, err := s.letters.Receive(ctx, q.DeadLetter, sweepBatch, s.wait, sweepVisibility)
		if err != nil || len(letters) == 0 {
			return err
		}
		for i := range letters {
			if err := s.bury(ctx, q, &letters[i]); err != nil {
				return fmt.Errorf("dead letter %s of queue %s: %w", letters[i].MessageID, q.Name, err)
			}
		}
	}
	return nil
}

// bury ends the run of one message and only then deletes it, so that whoever is cut off leaves the
// message to be received again.
func (s *sweep) bury(ctx context.Context, q *contract.Queue, m *queue.Received) error {
	t, err := taskOf(q, m)
	if err == nil {
		err = s.dispatch.Fail(ctx, t, contract.ClaimError, "")
	}
	if _, ours := errors.AsType[*contract.Error](err); ours {
		s.log.Debug("a dead letter is left", "queue", q.Name, "messageId", m.MessageID, "error", err)
		return s.letters.Release(ctx, q.DeadLetter, m.Receipt, leaveFor)
	}
	if err != nil {
		return err
	}
	s.log.Warn("a message that no processor could take is now a failed job", "queue", q.Name, "jobId", t.JobID, "run", t.Run)
	return s.letters.Delete(ctx, q.DeadLetter, m.Receipt)
}

// taskOf reads a message as the claim does. An error says that it is no job of ours: of a future
// version, or one that nobody can ever read, or of another queue, and that was called rejected already.
func taskOf(q *contract.Queue, m *queue.Received) (contract.Task, error) {
	if !m.Envelope {
		t := contract.ForeignTask(q.Name, q.DefaultType, m.MessageID, m.Body, m.Sent)
		_, err := t.Encode()
		return t, err
	}
	t, err := contract.DecodeTask(m.Body)
	if err == nil && t.Queue != q.Name {
		// A stray copy must not end a run that waits in its own queue.
		err = contract.Errorf(contract.CodeInvalidValue, "queue", "is %q, but it was received from %q", t.Queue, q.Name)
	}
	return t, err
}
