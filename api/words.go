package api

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"tallyman/contract"
)

// Limits of reading events one by one.
const (
	wordsBytes   = 16 << 20 // of events kept in memory
	wordsReaders = 16       // reads under way for one request
	maxWords     = 512      // events read for one request
)

// words gives what was said in text: a job's document names the events by sequence only. An event never
// changes, so one that was read is kept.
type words struct {
	events Events
	kept   *lru[uint64, *contract.Event]
}

func newWords(e Events) *words {
	return &words{events: e, kept: newLRU[uint64, *contract.Event](wordsBytes)}
}

// said is events by sequence; one that is not there gives an empty event.
type said map[uint64]*contract.Event

func (s said) at(seq uint64) *contract.Event {
	if e := s[seq]; e != nil {
		return e
	}
	return &contract.Event{}
}

// of reads events. Those that the stream no longer has are left out; complete is false where it could not
// be read.
func (w *words) of(ctx context.Context, seqs []uint64) (found said, complete bool) {
	found, complete = make(said, len(seqs)), true
	var mu sync.Mutex
	var work errgroup.Group
	work.SetLimit(wordsReaders)
	for _, seq := range seqs[:min(len(seqs), maxWords)] {
		if seq == 0 {
			continue
		}
		if e, ok := w.kept.get(seq); ok {
			mu.Lock()
			found[seq] = e
			mu.Unlock()
			continue
		}
		work.Go(func() error {
			e, err := w.read(ctx, seq)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				found[seq] = e
			} else if !isNotFound(err) {
				complete = false
			}
			return nil
		})
	}
	_ = work.Wait() // what could not be read is told by complete
	return found, complete
}

// read reads one event, and keeps it.
func (w *words) read(ctx context.Context, seq uint64) (*contract.Event, error) {
	st, err := w.events.Event(ctx, seq)
	if err != nil {
		return nil, err
	}
	e := st.Event
	const overhead = 1 << 10                              // of the fields that have a fixed size
	w.kept.put(seq, &e, overhead+len(st.Raw)+len(e.Task)) // its texts are parts of the whole
	return &e, nil
}
