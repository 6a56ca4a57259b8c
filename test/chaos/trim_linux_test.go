package chaos

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
)

// trimMargin is how many events may come while a limit stands that is there to trim.
const trimMargin = 50

// trimBefore is how many jobs have ended before the load begins where a plan trims: there must be something
// to trim.
const trimBefore = 25

// trim cuts the beginning of the stream off, as its limits do when it is full: of what belongs to jobs that
// have ended and that the ledger has counted. It gives what takes the limit away.
func (w *world) trim() (mend func()) {
	upTo, err := w.finished()
	if err != nil || upTo == 0 {
		w.t.Logf("nothing is trimmed: up to %d: %v", upTo, err)
		return func() {} // nobody can say now what may go
	}
	w.mu.Lock()
	// Of what a trim before this one took, a job may have been run again since.
	w.mayGo = max(w.mayGo, upTo)
	w.mu.Unlock()
	var limit int64
	err = w.limitEvents(func(info *jetstream.StreamInfo) bool {
		limit = info.Config.MaxMsgs
		info.Config.MaxMsgs = int64(info.State.LastSeq-upTo) + trimMargin
		return true
	})
	if err != nil {
		w.t.Logf("nothing is trimmed: %v", err)
		return func() {}
	}
	lift := func() {
		err := w.limitEvents(func(info *jetstream.StreamInfo) bool { info.Config.MaxMsgs = limit; return true })
		if err != nil {
			w.t.Errorf("the world cannot take its own limit from the stream: %v", err)
		}
	}
	lift()
	return func() {
		if w.lookTrimmed(); w.trimmed > w.mayGo {
			w.t.Errorf("the world has trimmed %d events, and meant %d: it cannot judge this seed", w.trimmed, w.mayGo)
		}
	}
}

// lookTrimmed notes how many events the stream has lost at its beginning. What was trimmed may come back: NATS
// answers before its disk has it, and where it is killed then, it holds the events again.
func (w *world) lookTrimmed() {
	err := w.limitEvents(func(info *jetstream.StreamInfo) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.trimmed = info.State.FirstSeq - 1
		return false
	})
	if err != nil {
		w.t.Errorf("look at the stream: %v", err)
	}
}

// mayHaveTrimmed tells whether clients may be told that the task of an ended job is no longer kept.
func (w *world) mayHaveTrimmed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mayGo > 0
}

// limitEvents changes the stream's configuration where change says so. NATS may be away for a while.
func (w *world) limitEvents(change func(*jetstream.StreamInfo) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		err := w.tryLimitEvents(ctx, change)
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

func (w *world) tryLimitEvents(ctx context.Context, change func(*jetstream.StreamInfo) bool) error {
	nc, err := nats.Connect("nats://" + w.at("nats"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	s, err := js.Stream(ctx, contract.StreamEvents)
	if err != nil {
		return err
	}
	if info := s.CachedInfo(); change(info) {
		_, err = js.UpdateStream(ctx, info.Config)
	}
	return err
}

// finished is the last sequence that the ledger has counted and that comes before every event of any job
// that has not ended, or that gets another run by itself: it is asked for first and last, since it comes from the states
// that end and goes to those that begin.
func (w *world) finished() (uint64, error) {
	base := "http://" + w.at("api")
	var s contract.Stats
	if err := w.get(base+"/jobs/stats", &s); err != nil {
		return 0, err
	}
	upTo := s.AsOf.Seq
	for _, state := range []contract.State{
		contract.StateFailed, contract.StateAccepted, contract.StateQueued, contract.StateRunning, contract.StateRetrying, contract.StateFailed,
	} {
		var page struct{ Jobs []struct{ JobID string } }
		if err := w.get(fmt.Sprintf("%s/jobs?state=%s&limit=200", base, state), &page); err != nil {
			return 0, err
		}
		for _, j := range page.Jobs {
			first, err := w.firstNeeded(base, j.JobID, state)
			if err != nil {
				return 0, err
			}
			upTo = min(upTo, first-1)
		}
	}
	return upTo, nil
}

// firstNeeded is the first event of a job, or more than any where it has ended for good.
func (w *world) firstNeeded(base, id string, state contract.State) (uint64, error) {
	if state.Ended() {
		var j job
		if err := w.get(base+"/jobs/"+id, &j); err != nil {
			return 0, err
		}
		if j.State.Ended() && j.Rerun == nil {
			return math.MaxUint64, nil
		}
	}
	var history struct{ Events []struct{ Seq uint64 } }
	if err := w.get(base+"/jobs/"+id+"/events", &history); err != nil {
		return 0, err
	}
	first := uint64(math.MaxUint64)
	for _, e := range history.Events {
		first = min(first, e.Seq)
	}
	return first, nil
}

// tellStream logs what the stream holds.
func (w *world) tellStream() {
	err := w.limitEvents(func(info *jetstream.StreamInfo) bool {
		w.t.Logf("the stream: made %s, %d events from %d to %d, %d missing between", info.Created.Format(time.TimeOnly),
			info.State.Msgs, info.State.FirstSeq, info.State.LastSeq, info.State.NumDeleted)
		return false
	})
	if err != nil {
		w.t.Logf("the stream: %v", err)
	}
}
