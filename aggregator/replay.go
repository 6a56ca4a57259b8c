package aggregator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Log is the stream, read as far as it goes. Read hands over what is stored from a sequence on, in order,
// until there is no more or fn gives an error, which it returns.
type Log interface {
	Read(ctx context.Context, from uint64, fn func(stream.Stored) error) error
	Info(ctx context.Context) (stream.Info, error)
}

// Replay is the ledger made anew from what the stream holds, for an audit to compare. It is not safe for use by
// several goroutines. It keeps some hundred bytes for each job.
type Replay struct {
	log     Log
	kept    Checkpoints
	rules   rules // where the checkpoint says none
	eras    eras
	ledger  *ledger
	first   uint64 // that the stream has; 0: not read yet
	seq     uint64 // it has come so far
	events  int
	missing []missing
	more    int
}

// missing is a range of sequences behind the stream's first that it no longer has.
type missing struct{ from, to uint64 }

// maxMissing bounds the ranges that are told apart; a stream that has lost more is not to be trusted at all.
const maxMissing = 1000

// NewReplay begins before the first event. By which rules each event was folded is in the bucket's checkpoint;
// where that does not say it, or kept is nil, by this retention (0: the default) and the default window.
func NewReplay(log Log, kept Checkpoints, retention time.Duration) *Replay {
	r := rules{retention: orDefault(retention, DefaultRetention), window: DefaultWindow}
	return &Replay{log: log, kept: kept, rules: r, ledger: newLedger(r)}
}

// To folds on until the event at seq, which the stream and the ledger must have come to.
func (r *Replay) To(ctx context.Context, seq uint64) error {
	var err error
	if r.eras, err = erasOf(ctx, r.kept); err != nil {
		return err
	}
	if r.first == 0 {
		info, err := r.log.Info(ctx)
		if err != nil {
			return err
		}
		r.first = max(1, info.First)
		r.seq = r.first - 1
	}
	if r.seq >= seq {
		return nil
	}
	err = r.log.Read(ctx, r.seq+1, func(e stream.Stored) error {
		if e.Seq > seq {
			return errThere
		}
		r.take(&e)
		if e.Seq == seq {
			return errThere
		}
		return nil
	})
	if err != nil && !errors.Is(err, errThere) {
		return fmt.Errorf("replay %s: %w", contract.StreamEvents, err)
	}
	r.lost(r.seq+1, seq)
	r.seq = max(r.seq, seq)
	return r.trim(ctx)
}

// trim takes what aged out while it was read for what it is.
func (r *Replay) trim(ctx context.Context) error {
	if len(r.missing) == 0 {
		return nil
	}
	info, err := r.log.Info(ctx)
	if err != nil {
		return err
	}
	r.first = max(r.first, min(info.First, r.seq+1))
	r.missing = slices.DeleteFunc(r.missing, func(m missing) bool { return m.to < r.first })
	return nil
}

func (r *Replay) take(e *stream.Stored) {
	r.lost(r.seq+1, e.Seq-1)
	event := &e.Event
	if e.Fault != nil {
		event = nil
	}
	r.ledger.rules = r.eras.rules(e.Seq, r.rules)
	r.ledger.fold(e.Seq, e.At, event)
	r.ledger.books.saved(e.Seq)
	r.seq = e.Seq
	r.events++
}

func (r *Replay) lost(from, to uint64) {
	switch {
	case from > to:
	case len(r.missing) == maxMissing:
		r.more++
	default:
		r.missing = append(r.missing, missing{from, to})
	}
}

// Seq is how far it has come.
func (r *Replay) Seq() uint64 { return r.seq }

// First is the first event that the stream has.
func (r *Replay) First() uint64 { return r.first }

// Events is how many were folded.
func (r *Replay) Events() int { return r.events }

// Lacks tells whether an event that once was is no longer on the stream.
func (r *Replay) Lacks(seq uint64) bool {
	if seq < r.first {
		return true
	}
	for _, m := range r.missing {
		if m.from <= seq && seq <= m.to {
			return true
		}
	}
	return r.more > 0 && seq > r.missing[len(r.missing)-1].to
}

// Whole tells whether it has every event from the very first on, and folds each as the ledger did, so that its
// sums are all there is.
func (r *Replay) Whole() bool { return r.first == 1 && len(r.missing) == 0 && r.Foreign() == 0 }

// Foreign is the last event that another version folded, in a way that is not known here; 0: none.
func (r *Replay) Foreign() uint64 { return r.eras.foreign() }

// Gaps are the ranges, first and last, that the stream no longer has behind its first event.
func (r *Replay) Gaps() iter.Seq2[uint64, uint64] {
	return func(yield func(from, to uint64) bool) {
		for _, m := range r.missing {
			if !yield(m.from, m.to) {
				return
			}
		}
	}
}

// Job is the document of a job, byte for byte as the bucket must hold it; nil where the events make none known.
func (r *Replay) Job(id string) []byte {
	key, ok := parseJobID(id)
	if !ok {
		return nil
	}
	p, ok := r.ledger.jobs[key]
	if !ok {
		return nil
	}
	p.unpack(&r.ledger.probe)
	return r.ledger.probe.document(nil, key, r.ledger.queues.list, r.ledger.types.list)
}

// Jobs are the ids of every job that is known.
func (r *Replay) Jobs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for id := range r.ledger.jobs {
			if !yield(id.String()) {
				return
			}
		}
	}
}

// Books are the documents of the books, the windows and last the stats, as the bucket must hold them.
func (r *Replay) Books() ([]stream.Entry, error) { return r.ledger.shown() }
