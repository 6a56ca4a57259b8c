package aggregator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// streamEvery is how often the stream is looked at, whether it is still the same one.
const streamEvery = 10 * time.Second

// session is one loading of the ledger and what is made of it, until it is of no more use. A leader and
// a standby do the same but for the commits. The fold is never more than one batch ahead of the
// checkpoint: then whoever comes to lead can write what is missing at once, in one consistent commit.
type session struct {
	*Aggregator
	loaded
	inbox   *inbox
	burst   []stream.Stored  // taken out of the inbox
	folded  int              // of the burst
	raw     []byte           // the last event folded; nil: as loaded
	dirty   map[jobID]uint64 // jobs that changed after the fence, and at which sequence last
	weight  int              // of their packed bytes
	listed  uint64           // which attention the bucket holds
	unknown int              // events, as last said
	flight  *batch           // on its way
	landed  chan landing
	next    time.Time      // no commit before this, unless a batch is full
	started sync.WaitGroup // the following and the flight
	looked  time.Time      // at the checkpoint, by a standby
	stale   bool           // apart, and there is more in the stream or the bucket than in memory
	seen    time.Time      // the stream
}

type landing struct {
	fence fence
	err   error
}

// session loads the ledger and keeps it until ctx ends or it must be loaded again.
func (a *Aggregator) session(ctx context.Context) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.started.Wait()
	defer cancel()
	if err := s.clearLeftovers(ctx); err != nil {
		return err
	}
	a.progress.move(s.fence.seq)
	a.state.set(nil)
	followed := make(chan error, 1)
	s.started.Go(func() { followed <- s.follow(ctx) })
	return s.run(ctx, followed)
}

// open loads the ledger.
func (a *Aggregator) open(ctx context.Context) (*session, error) {
	l, err := load(ctx, a.Events, a.Bucket, a.rules(), a.stray)
	if err != nil {
		errors.As(err, &a.stray)
		return nil, err
	}
	if l.off > 0 {
		a.Log.Error("the job documents do not add up to the checkpoint: somebody else wrote to the bucket; "+
			"delete it while the aggregator is stopped, and it is made again from the stream",
			"bucket", contract.BucketJobs, "sums", l.off)
	}
	s := &session{
		Aggregator: a, loaded: *l, inbox: newInbox(), dirty: make(map[jobID]uint64), landed: make(chan landing, 1), seen: time.Now(),
		listed: l.ledger.waiting, unknown: l.ledger.balance.Unknown,
	}
	if !s.attention || s.ledger.balance != s.balance || s.apart { // what is judged otherwise now is shown at once
		s.ledger.waiting++
	}
	if s.apart = s.apart && !s.leading.Load(); s.apart {
		s.sayApart()
	}
	return s, nil
}

// follow hands over the events that are not folded yet.
func (s *session) follow(ctx context.Context) error {
	return s.Events.Follow(ctx, s.fence.seq+1, func(e stream.Stored) error { return s.inbox.put(ctx, e) })
}

// run folds and commits until something ends the session.
func (s *session) run(ctx context.Context, followed <-chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		in := s.inbox.filled
		switch rest := s.folded < len(s.burst); {
		case rest && s.room():
			in = atOnce
		case rest:
			in = nil // the batch is full, and what is left of the burst goes first
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err = <-followed:
			return fmt.Errorf("follow %s: %w", contract.StreamEvents, err)
		case <-in:
			err = s.foldBurst()
		case l := <-s.landed:
			err = s.land(l)
		case <-s.turned:
			s.looked = time.Time{}
		case <-timer.C:
		}
		if err == nil {
			err = s.keepUp(ctx, time.Now())
		}
		if err != nil {
			return err
		}
		timer.Reset(s.pause(time.Now()))
	}
}

// atOnce is a channel that never keeps anybody waiting.
var atOnce = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// foldBurst folds what there is room for: the rest of the last burst, else the next one.
func (s *session) foldBurst() error {
	if s.folded == len(s.burst) {
		s.burst, s.folded = s.inbox.take(s.burst), 0
	}
	if s.apart {
		s.stale, s.folded = s.stale || len(s.burst) > 0, len(s.burst)
		return nil
	}
	for s.folded < len(s.burst) && s.room() {
		if err := s.take(&s.burst[s.folded]); err != nil {
			return err
		}
		s.folded++
	}
	return nil
}

// take folds one event. A jump in the sequence is a gap only where this process speaks for the ledger;
// a standby may have slept while the leader folded what is now gone, so it loads what the leader wrote.
func (s *session) take(e *stream.Stored) error {
	switch want := s.ledger.seq + 1; {
	case e.Seq < want:
		return fmt.Errorf("%w: event %d came after %d", errMoved, e.Seq, want-1)
	case e.Seq > want && !s.speaks():
		return fmt.Errorf("%w: event %d is missing", errMoved, want)
	case e.Seq > want:
		s.ledger.gap(want, e.Seq-1)
		s.Log.Error("the stream has lost events that were not folded yet", "from", want, "to", e.Seq-1)
	}
	event := &e.Event
	if e.Fault != nil {
		s.Log.Debug("event cannot be read", "sequence", e.Seq, "code", contract.CodeOf(e.Fault))
		event = nil
	}
	touched := s.ledger.fold(e.Seq, e.At, event)
	s.raw = e.Raw
	if e.Seq <= s.fence.seq {
		s.ledger.books.saved(e.Seq)
		return nil // the leader's commit has it already
	}
	for _, id := range touched {
		s.dirty[id] = e.Seq
		s.weight += len(s.ledger.jobs[id])
	}
	return nil
}

// room tells whether one more event surely fits the batch.
func (s *session) room() bool {
	return len(s.dirty)+maxRetired+s.ledger.books.unsaved()+maxPages < s.documents && s.weight < maxWeight
}

// speaks tells whether this process is the one that writes, and has what was written.
func (s *session) speaks() bool { return s.writes() && s.ledger.seq >= s.fence.seq }

// unsaved tells whether there is anything to commit.
func (s *session) unsaved() bool {
	return s.ledger.seq > s.fence.seq || s.fence.revision == 0 || s.listed != s.ledger.waiting
}

// keepUp commits where a commit is due, looks at the checkpoint where this is a standby, and at the
// stream now and then.
func (s *session) keepUp(ctx context.Context, now time.Time) error {
	if now.Sub(s.seen) >= streamEvery {
		s.seen = now
		if err := s.lookAtStream(ctx); err != nil {
			return err
		}
	}
	if s.flight != nil {
		return nil
	}
	if turned := s.looked.IsZero(); turned || !s.writes() && now.Sub(s.looked) >= standbyEvery {
		s.looked = now
		if err := s.lookAtCheckpoint(ctx); err != nil {
			return err
		}
	}
	if s.speaks() && (!s.room() || s.unsaved() && !now.Before(s.next)) {
		s.launch(ctx, now)
	}
	return nil
}

// pause is how long there is nothing to do if nothing comes.
func (s *session) pause(now time.Time) time.Duration {
	until := s.seen.Add(streamEvery)
	switch {
	case !s.writes():
		until = earliest(until, s.looked.Add(standbyEvery))
	case s.flight == nil && s.unsaved():
		until = earliest(until, s.next)
	}
	return max(0, until.Sub(now))
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// launch sends what changed since the fence, and lets the fold go on meanwhile.
func (s *session) launch(ctx context.Context, now time.Time) {
	b := s.batch()
	if full := !s.room(); !full || !now.Before(s.next) { // the list is long: not with every full batch
		if s.listed != s.ledger.waiting {
			a := s.ledger.attention()
			b.attention, s.listed = &a, s.ledger.waiting
		}
		if b.seq > s.fence.seq {
			s.next = now.Add(s.Every)
		}
	}
	b.checkpoint.Attention = s.listed == s.ledger.waiting
	if unknown := s.ledger.balance.Unknown; unknown > s.unknown {
		s.Log.Warn("events could not be read or kept; they are counted", "new", unknown-s.unknown, "all", unknown)
		s.unknown = unknown
	}
	s.flight, s.dirty, s.weight = b, make(map[jobID]uint64), 0
	s.started.Go(func() {
		f, err := b.commit(ctx, s.Bucket)
		s.landed <- landing{f, err}
	})
}

// batch copies what a commit needs.
func (s *session) batch() *batch {
	b := &batch{
		fence: s.fence, seq: s.ledger.seq, jobs: make([]changed, 0, len(s.dirty)), stats: s.ledger.stats(),
		queues: s.ledger.queues.list, types: s.ledger.types.list, checkpoint: s.ledger.checkpoint(),
		books: s.ledger.books.documents(s.ledger.seq, max(0, s.documents-len(s.dirty))),
	}
	for id := range s.dirty {
		b.jobs = append(b.jobs, changed{id, s.ledger.jobs[id]})
	}
	if s.raw != nil {
		s.event = nameOf(s.raw)
	}
	b.checkpoint.Stream, b.checkpoint.Event = s.stream, s.event
	return b
}

// land takes note of a commit that has arrived.
func (s *session) land(l landing) error {
	s.flight = nil
	if errors.Is(l.err, stream.ErrTooLarge) {
		s.documents = minDocuments
		return fmt.Errorf("%w: smaller commits from now on: %w", errMoved, l.err)
	}
	if l.err != nil {
		return l.err
	}
	s.fence = l.fence
	s.ledger.books.saved(s.fence.seq)
	s.progress.move(s.fence.seq)
	return nil
}

// clearLeftovers removes the documents of another stream before anything is folded, which only the
// leader does: a standby waits until it has, or leads itself.
func (s *session) clearLeftovers(ctx context.Context) error {
	for len(s.leftovers) > 0 {
		if !s.leading.Load() {
			return fmt.Errorf("%w: the leader has to clear the bucket first", errMoved)
		}
		n := min(len(s.leftovers), minDocuments)
		b := s.batch()
		b.gone, s.leftovers = s.leftovers[:n], s.leftovers[n:]
		b.checkpoint.Left = len(s.leftovers)
		f, err := b.commit(ctx, s.Bucket)
		if err != nil {
			return err
		}
		s.fence = f
	}
	return nil
}
