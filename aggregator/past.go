package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// DefaultReplay is how many events Past folds at the most for one answer: some ten seconds, and a tenth of a
// kilobyte for each job.
const DefaultReplay = 1_000_000

// Past gives the books as they were, by folding the stream from its first event again. It keeps nothing.
type Past struct {
	Events    Events
	Kept      Checkpoints   // says by which rules events were folded; nil: by these
	Retention time.Duration // where that does not say it; 0: 30 days
	Most      int           // events for one answer; 0: DefaultReplay
}

var errThere = errors.New("as far as was asked")

// At gives the documents of the books and the stats, last, as they were when the event at seq had been
// folded; with seq 0, all those that were stored until a moment. It is as good as what the bucket held, or a
// contract.Error says what is in the way: the future, a log that no longer begins at its beginning, or too
// many events.
func (p *Past) At(ctx context.Context, seq uint64, at time.Time) ([]stream.Entry, error) {
	info, err := p.Events.Info(ctx)
	if err != nil {
		return nil, err
	}
	most := uint64(orDefault(time.Duration(p.Most), DefaultReplay))
	switch {
	case seq > info.Last:
		return nil, contract.Errorf(contract.CodeInvalidValue, "at", "is ahead: the log has come to %d", info.Last)
	case info.First > 1:
		return nil, contract.Errorf(contract.CodeInvalidValue, "at", "cannot be told any more: the log begins at %d, so it no longer says "+
			"what led to it; since and until tell of windows", info.First)
	case seq > most:
		return nil, p.tooMany(most)
	}
	all, err := erasOf(ctx, p.Kept)
	if err != nil {
		return nil, err
	}
	r := rules{retention: orDefault(p.Retention, DefaultRetention), window: DefaultWindow}
	l := newLedger(r)
	last := info.Last
	if seq > 0 {
		last = seq
	}
	if last > 0 {
		err = p.Events.Follow(ctx, 1, func(e stream.Stored) error {
			l.rules = all.rules(e.Seq, r)
			return p.take(l, &e, last, seq == 0, at, most)
		})
		if !errors.Is(err, errThere) {
			return nil, err
		}
	}
	return l.shown()
}

// take folds one event, unless it is behind what was asked for.
func (p *Past) take(l *ledger, e *stream.Stored, last uint64, byTime bool, at time.Time, most uint64) error {
	switch {
	case e.Seq > last, byTime && e.At.After(at):
		return errThere
	case e.Seq > most:
		return p.tooMany(most)
	case e.Seq != l.seq+1:
		return contract.Errorf(contract.CodeInvalidValue, "at", "cannot be told any more: the log has lost the events from %d on", l.seq+1)
	}
	event := &e.Event
	if e.Fault != nil {
		event = nil
	}
	l.fold(e.Seq, e.At, event)
	l.books.saved(e.Seq)
	if e.Seq == last {
		return errThere
	}
	return nil
}

func (p *Past) tooMany(most uint64) error {
	return contract.Errorf(contract.CodeInvalidValue, "at", "is too far from the log's beginning: more than %d events would have to be read", most)
}

// shown is every document of the books, the stats last.
func (l *ledger) shown() ([]stream.Entry, error) {
	var all []stream.Entry
	add := func(key string, document any) error {
		value, err := json.Marshal(document)
		if err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
		all = append(all, stream.Entry{Key: key, Value: value})
		return nil
	}
	for d := range l.books.all() {
		if err := add(d.Key(), &d); err != nil {
			return nil, err
		}
	}
	s := l.stats()
	err := add(contract.KeyStats, &s)
	return all, err
}
