package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// rerun gives failed jobs the further runs that their types' `reruns` and their queues' `onLost` ask for. It
// reads every `failed` of the stream, once: how far all of them are done with is a mark, from which whoever
// leads next goes on. Whether a job gets another run is decided by its document and its run's record, so a
// failure that is looked at twice is harmless.
type rerun struct {
	ledger   Ledger
	events   Events
	marks    Schedules
	dispatch Dispatcher
	config   *contract.Config
	clock    clockwork.Clock
	log      *slog.Logger

	most    int      // of pending
	stream  string   // whose events; "" before the mark was read
	read    uint64   // the stream, up to here
	marked  uint64   // what is written down
	pending []*faded // failures that are not done with, in the order of the stream
}

// faded is a run that failed, and when to look at its job.
type faded struct {
	seq  uint64    // of the event that says so
	at   time.Time // when the stream stored it
	job  string
	run  int
	next time.Time
	done bool
}

const (
	// maxFaded bounds the failures that wait for their time. What comes after waits on the stream.
	maxFaded = 100_000
	// rerunPages bounds how much one round reads.
	rerunPages = 10
	// rerunAtOnce bounds the jobs that are looked at at one time.
	rerunAtOnce = 32
	// foldAfter is how long the ledger is given to fold what the stream has.
	foldAfter = 2 * time.Second
	// unknownAfter is how long a failure may be of a job that the ledger does not know: a server that is behind
	// may not have its document yet. A job that old that it has none is then let be.
	unknownAfter = time.Hour
)

func newRerun(o *Options) *rerun {
	return &rerun{
		ledger: o.Ledger, events: o.Events, marks: o.Schedules, dispatch: o.Dispatcher, config: &o.Config, clock: o.Clock,
		log: o.Log, most: maxFaded,
	}
}

// round reads what has failed, looks at the jobs whose time has come, and notes how far it is.
func (r *rerun) round(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	err := r.readOn(ctx)
	return errors.Join(err, r.lookAll(ctx), r.note(ctx))
}

// begin reads the mark. A stream that was made since is read from its first event. One that ends before what was done
// with already was set back: an older copy of it was restored, or the end of it was lost. What it has is done with.
func (r *rerun) begin(ctx context.Context) error {
	info, err := r.events.Info(ctx)
	if err != nil {
		return err
	}
	name := contract.StreamName(info.Created)
	if name == r.stream && r.read <= info.Last {
		return nil
	}
	m, err := r.mark(ctx, contract.RerunMark{Stream: name, Seq: info.Last})
	if err != nil {
		return err
	}
	if m.Stream != name {
		m = contract.RerunMark{Stream: name}
	}
	if name == r.stream || m.Seq > info.Last {
		r.log.Warn("the stream of events was set back: what it has up to the mark gets no further run", "last", info.Last,
			"read", max(r.read, m.Seq), "mark", min(m.Seq, info.Last))
	}
	// What is read and what is marked may differ now; note writes it down in this round.
	r.stream, r.read, r.marked, r.pending = name, min(m.Seq, info.Last), m.Seq, nil
	return nil
}

// mark reads the mark. Where there is none, what has failed so far is the past, and nobody was promised a rerun of it:
// it begins at start. That there is none, no server says that may be behind; it is so where the mark can be created.
func (r *rerun) mark(ctx context.Context, start contract.RerunMark) (m contract.RerunMark, err error) {
	const key = contract.BucketSchedules + "/" + contract.KeyRerunMark
	b, err := json.Marshal(start)
	if err != nil {
		return m, err
	}
	for range maxRaces {
		e, err := r.marks.Get(ctx, contract.KeyRerunMark)
		switch {
		case err == nil:
			if err := json.Unmarshal(e.Value, &m); err != nil {
				return m, fmt.Errorf("%s: %w; delete it, and what fails from then on is run again", key, err)
			}
			return m, nil
		case !errors.Is(err, stream.ErrNotFound):
			return m, err
		}
		if _, err := r.marks.Create(ctx, contract.KeyRerunMark, b); !errors.Is(err, stream.ErrConflict) {
			return start, err
		}
	}
	return m, fmt.Errorf("%s: it is there, and was not found %d times: %w", key, maxRaces, stream.ErrUnavailable)
}

// readOn takes in the failures that have come, as far as there is room for them.
func (r *rerun) readOn(ctx context.Context) error {
	for range rerunPages {
		limit := min(stream.MaxPage, r.most-len(r.pending))
		if limit <= 0 {
			return nil
		}
		page, err := r.events.PageOf(ctx, contract.Failed, r.read+1, limit)
		if err != nil {
			return err
		}
		for i := range page {
			e := &page[i].Event
			if r.read = page[i].Seq; page[i].Fault == nil && r.asks(e) {
				r.pending = append(r.pending, &faded{seq: r.read, at: page[i].At, job: e.JobID, run: e.Run})
			}
		}
		if len(page) < limit {
			return nil
		}
	}
	return nil
}

// asks tells whether the configuration may want another run of what failed.
func (r *rerun) asks(e *contract.Event) bool {
	q := r.config.Queue(e.Queue)
	if q == nil {
		return false
	}
	t := q.Type(e.Type)
	return q.OnLost == contract.LostReruns || t != nil && t.Reruns != nil
}

// lookAll looks at each job whose time has come, many at one time.
func (r *rerun) lookAll(ctx context.Context) error {
	now := r.clock.Now()
	var due []*faded
	for _, f := range r.pending {
		if !f.next.After(now) {
			due = append(due, f)
		}
	}
	folded := uint64(0)
	if len(due) > 0 {
		var err error
		if folded, err = r.folded(ctx); err != nil {
			return err
		}
	}
	errs := make([]error, len(due))
	var away atomic.Bool
	var g errgroup.Group
	g.SetLimit(rerunAtOnce)
	for i, f := range due {
		g.Go(func() error {
			if away.Load() {
				return nil // it is looked at in the next round
			}
			errs[i] = r.look(ctx, f, folded)
			if errors.Is(errs[i], stream.ErrUnavailable) {
				away.Store(true)
			}
			return nil
		})
	}
	_ = g.Wait() // every error is in errs
	return errors.Join(errs...)
}

// folded is how far the ledger has come.
func (r *rerun) folded(ctx context.Context) (uint64, error) {
	e, err := r.ledger.Get(ctx, contract.KeyStats)
	if errors.Is(err, stream.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var s contract.Stats
	if err := json.Unmarshal(e.Value, &s); err != nil {
		return 0, fmt.Errorf("jobs/%s: %w", contract.KeyStats, err)
	}
	return s.AsOf.Seq, nil
}

// look decides about one failure, with a ledger that has come as far as folded when it was asked.
func (r *rerun) look(ctx context.Context, f *faded, folded uint64) error {
	now := r.clock.Now()
	if folded < f.seq {
		f.next = now.Add(foldAfter)
		return nil
	}
	e, err := r.ledger.Get(ctx, contract.JobKey(f.job))
	if errors.Is(err, stream.ErrNotFound) {
		f.done, f.next = now.Sub(f.at) > unknownAfter, now.Add(foldAfter)
		return nil
	}
	if err != nil {
		return err
	}
	var j contract.Job
	if err := json.Unmarshal(e.Value, &j); err != nil {
		return fmt.Errorf("jobs/%s: %w", contract.JobKey(f.job), err)
	}
	next, ok := r.config.FollowUp(&j)
	switch {
	case !j.Ended(f.run): // of a server that is behind
		f.next = now.Add(foldAfter)
		return nil
	case !ok || next.After != f.run: // it has succeeded after all, goes on already, or has had its share
		f.done = true
		return nil
	case next.At.After(now):
		f.next = next.At.Time
		return nil
	}
	err = r.runAgain(ctx, &j, next)
	if _, refused := errors.AsType[*contract.Error](err); refused || errors.Is(err, stream.ErrNotFound) {
		r.log.Warn("gets no further run", "jobId", f.job, "run", f.run, "error", err)
		err = nil
	}
	if f.done = err == nil; !f.done {
		f.next = now.Add(waitAfter)
	}
	return err
}

// runAgain makes the run that follows: `next` in the record first, then as any run.
func (r *rerun) runAgain(ctx context.Context, j *contract.Job, next contract.FollowUp) error {
	seq := j.Runs[len(j.Runs)-1].TaskSeq
	if seq == 0 {
		return fmt.Errorf("nobody said that it was submitted: %w", stream.ErrNotFound)
	}
	st, err := r.events.Event(ctx, seq)
	if err != nil {
		return err
	}
	t, err := contract.DecodeTask(st.Event.Task)
	if err != nil {
		return err
	}
	if t, err = r.dispatch.Successor(ctx, t, next.Source, contract.Time{}); err != nil {
		return err
	}
	if _, err := r.dispatch.Submit(ctx, t); err != nil {
		return err
	}
	r.log.Info("runs again", "jobId", j.JobID, "run", t.Run, "queue", j.Queue, "by", next.Source, "number", next.Number, "most", next.Most)
	return nil
}

// note forgets what is done with, and writes the mark down where it has moved.
func (r *rerun) note(ctx context.Context) error {
	kept := r.pending[:0]
	for _, f := range r.pending {
		if !f.done {
			kept = append(kept, f)
		}
	}
	clear(r.pending[len(kept):])
	r.pending = kept
	mark := r.read
	if len(kept) > 0 {
		mark = kept[0].seq - 1
	}
	if mark == r.marked {
		return nil
	}
	return r.put(ctx, mark)
}

func (r *rerun) put(ctx context.Context, seq uint64) error {
	b, err := json.Marshal(contract.RerunMark{Stream: r.stream, Seq: seq})
	if err != nil {
		return err
	}
	if _, err := r.marks.Put(ctx, contract.KeyRerunMark, b); err != nil {
		return err
	}
	r.marked = seq
	return nil
}
