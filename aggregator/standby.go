package aggregator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tallyman/internal/stream"
)

// standbyEvery is how often a standby looks how far the leader has come.
const standbyEvery = 500 * time.Millisecond

// lookAtCheckpoint learns how far the leader has come: what it has written, this process need not. Where
// the leader judges the ledger otherwise, its word is loaded. Where it folds by other rules, nothing of it is
// what this process would have written, so nothing counts as written: not before this process leads.
func (s *session) lookAtCheckpoint(ctx context.Context) error {
	e, err := getCheckpoint(ctx, s.Bucket)
	switch {
	case errors.Is(err, stream.ErrUnavailable):
		return nil // it is asked again, and the fence guards what is written meanwhile
	case err != nil:
		return err
	case e.Revision == s.fence.revision:
		return s.carryOn()
	case e.Revision == 0:
		return fmt.Errorf("%w: the checkpoint is gone", errMoved)
	}
	var head checkpointHead
	if err := decodeCheckpoint(e, &head, &head); err != nil {
		return err
	}
	b := &s.ledger.balance
	if head.V != checkpointVersion || head.Stream != s.stream || head.Seq < s.fence.seq || head.Balance.Gap != b.Gap {
		return fmt.Errorf("%w: another judges it otherwise", errMoved)
	}
	s.fence = fence{e.Revision, head.Seq}
	if !slices.Equal(head.Eras, s.ledger.eras) {
		return s.standApart(head.Eras)
	}
	b.Off = max(b.Off, head.Balance.Off)
	s.ledger.books.saved(head.Seq)
	s.weight = 0
	for id, seq := range s.dirty {
		if seq <= head.Seq {
			delete(s.dirty, id)
			continue
		}
		s.weight += len(s.ledger.jobs[id])
	}
	s.progress.move(head.Seq)
	return nil
}

// standApart takes note of a leader with other rules. Whoever has its rules, or leads now, loads what it wrote; anybody
// else folds nothing until then.
func (s *session) standApart(theirs eras) error {
	if s.leading.Load() || theirs.by(&s.ledger.rules) {
		return fmt.Errorf("%w: another folded it by other rules", errMoved)
	}
	if !s.apart {
		s.sayApart()
	}
	s.apart, s.stale = true, true
	s.burst, s.folded, s.weight = s.burst[:0], 0, 0
	clear(s.dirty)
	s.progress.move(s.fence.seq)
	return nil
}

// sayApart tells it once: in a roll-out that changes a rule it is the day's work, and over when that is.
func (s *session) sayApart() {
	s.Log.Info("the leader folds by other rules, such as another retention: the ledger is loaded when this process leads")
}

// carryOn lets a new leader go on by its own rules from what others folded by theirs, as long as that is
// all it has in memory.
func (s *session) carryOn() error {
	switch {
	case !s.apart || !s.leading.Load():
		return nil
	case s.stale:
		return fmt.Errorf("%w: others folded it by other rules", errMoved)
	}
	s.apart = false
	s.ledger.waiting++ // so that the rules are written at once
	return nil
}

// writes tells whether this process commits when there is anything to.
func (s *session) writes() bool { return s.leading.Load() && !s.apart }

// lookAtStream notices a stream that was made anew under the old name, or set back.
func (s *session) lookAtStream(ctx context.Context) error {
	info, err := s.Events.Info(ctx)
	switch {
	case errors.Is(err, stream.ErrUnavailable):
		return nil
	case err != nil:
		return err
	case identity(info) != s.stream || info.Last < s.ledger.seq:
		return fmt.Errorf("%w: the stream is not the one it was", errMoved)
	}
	return nil
}
