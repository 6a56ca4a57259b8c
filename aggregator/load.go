package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// errMoved says that what this process holds in memory is no longer what the bucket holds, or not
// certainly: it is dropped, and loaded again.
var errMoved = errors.New("the ledger has moved on")

// fence is the checkpoint that a commit must find in place.
type fence struct {
	revision uint64 // 0: there is none yet
	seq      uint64
}

// loaded is a ledger as the bucket holds it.
type loaded struct {
	ledger    *ledger
	fence     fence
	stream    string           // the identity of the stream it is of
	event     string           // names the event at the fence
	balance   contract.Balance // as it was written
	attention bool             // the attention document is as new as the fence
	apart     bool             // it was folded by other rules than this process has
	leftovers []string         // keys of documents that are of another stream and must go first
	off       int              // sums that are not those of the documents, found by this loading
}

// stray is a document that is newer than the checkpoint. A commit that is being written looks like that
// for a moment; one that stays was put there by somebody else.
type stray struct {
	checkpoint, newest uint64 // revisions
	since              time.Time
}

// strayAfter is how long a stray must stay as it is before it is taken for what it is.
const strayAfter = 2 * time.Second

func (s *stray) Error() string {
	return fmt.Sprintf("a document at revision %d is newer than the checkpoint at %d", s.newest, s.checkpoint)
}

func (s *stray) Unwrap() error { return errMoved }

// same keeps the time at which a stray was first seen.
func (s *stray) same(before *stray) *stray {
	if before != nil && before.checkpoint == s.checkpoint && before.newest == s.newest {
		return before
	}
	return s
}

// load reads the ledger from the bucket. The bucket may be written meanwhile, and then what a listing
// shows is of no one moment; so the checkpoint is read before and, last of all, after the documents: the
// moment counts if it is still the same one, and no document is newer than it. Else errMoved. known is
// the stray of the loading before, if it failed by one.
func load(ctx context.Context, events Events, bucket Bucket, r rules, known *stray) (*loaded, error) {
	entry, err := getCheckpoint(ctx, bucket)
	if err != nil {
		return nil, err
	}
	info, err := events.Info(ctx)
	if err != nil {
		return nil, err
	}
	l, ours, err := begin(ctx, events, info, entry, r)
	if err != nil {
		return nil, err
	}
	in := intake{loaded: l, newest: entry.Revision}
	sums, err := in.books(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if err := in.documents(ctx, bucket); err != nil {
		return nil, err
	}
	after, err := getCheckpoint(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if after.Revision != entry.Revision {
		return nil, fmt.Errorf("%w: the bucket was written while it was read", errMoved)
	}
	if in.newest > after.Revision && after.Revision > 0 {
		s := (&stray{after.Revision, in.newest, time.Now()}).same(known)
		if time.Since(s.since) < strayAfter {
			return nil, s
		}
		in.unreadable++ // whatever it says, it is not the ledger's
	}
	if ours {
		l.off = in.unreadable + l.ledger.books.off(sums)
		l.ledger.balance.Off += l.off
	}
	if info.First > l.ledger.seq+1 {
		l.ledger.gap(l.ledger.seq+1, info.First-1)
	}
	return l, nil
}

// getCheckpoint reads the checkpoint; the zero Entry where there is none.
func getCheckpoint(ctx context.Context, bucket Checkpoints) (stream.Entry, error) {
	e, err := bucket.Get(ctx, contract.KeyCheckpoint)
	if errors.Is(err, stream.ErrNotFound) {
		return stream.Entry{}, nil
	}
	return e, err
}

// begin makes the ledger that the documents are admitted to: the checkpoint's, or an empty one where
// there is none, or where it speaks of another stream or in an older version's words: then it is not ours.
func begin(ctx context.Context, events Events, info stream.Info, e stream.Entry, r rules) (l *loaded, ours bool, err error) {
	fresh := &loaded{ledger: newLedger(r), fence: fence{revision: e.Revision}, stream: identity(info)}
	if e.Revision == 0 {
		return fresh, false, nil
	}
	var c checkpoint
	if err := decodeCheckpoint(e, &c, &c.checkpointHead); err != nil {
		return nil, false, err
	}
	ours, err = c.speaksOf(ctx, events, info)
	if err != nil || !ours {
		return fresh, false, err
	}
	kept, err := c.restore(r)
	if err != nil {
		return nil, false, fmt.Errorf("%s at revision %d: %w", e.Key, e.Revision, err)
	}
	return &loaded{
		ledger: kept, fence: fence{e.Revision, c.Seq}, stream: c.Stream, event: c.Event, attention: c.Attention,
		balance: c.Balance, apart: !c.Eras.by(&r),
	}, true, nil
}

// speaksOf tells whether the checkpoint is of this stream: the same one, not a new one under the old
// name nor one set back to an older copy. At sequence 0 it holds nothing, so it does not matter.
func (c *checkpoint) speaksOf(ctx context.Context, events Events, info stream.Info) (bool, error) {
	if c.Seq == 0 || c.V < checkpointVersion || c.Stream != identity(info) || c.Seq > info.Last {
		return false, nil
	}
	at, err := events.Event(ctx, c.Seq)
	if errors.Is(err, stream.ErrNotFound) {
		return true, nil // it is older than the stream keeps events
	}
	return err == nil && nameOf(at.Raw) == c.Event, err
}

// intake takes the documents in: JSON is decoded by as many goroutines as there are processors, for it
// is nearly all of the work, and one admits.
type intake struct {
	*loaded
	newest     uint64
	unreadable int
	rest       sync.WaitGroup
}

// books takes in the books and the windows, and gives the books of all time as they were written.
func (in *intake) books(ctx context.Context, bucket Bucket) (all []contract.Book, err error) {
	take := func(e stream.Entry) error {
		in.newest = max(in.newest, e.Revision)
		if in.ledger.seq == 0 {
			in.leftovers = append(in.leftovers, e.Key)
			return nil
		}
		var d contract.Book
		err := json.Unmarshal(e.Value, &d)
		if err == nil {
			err = in.ledger.books.read(&d, &in.ledger.queues, &in.ledger.types)
		}
		switch {
		case err != nil || d.Key() != e.Key:
			in.unreadable++
		case d.Span == "":
			all = append(all, d)
		}
		return nil
	}
	for _, filter := range []string{contract.BookKeys, contract.WindowKeys} {
		if err := bucket.Each(ctx, filter, take); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// intakeBatch is how many documents go from hand to hand at a time.
const intakeBatch = 256

func (in *intake) documents(ctx context.Context, bucket Bucket) error {
	raw, decoded := make(chan []stream.Entry, 1), make(chan []contract.Job, 1)
	for range runtime.GOMAXPROCS(0) {
		in.rest.Go(func() { decodeJobs(raw, decoded) })
	}
	admitted := make(chan struct{})
	go func() {
		defer close(admitted)
		for jobs := range decoded {
			in.admit(jobs)
		}
	}()
	batch := make([]stream.Entry, 0, intakeBatch)
	err := bucket.Each(ctx, contract.JobKey("*"), func(e stream.Entry) error {
		in.newest = max(in.newest, e.Revision)
		if in.ledger.seq == 0 { // nothing was folded yet, so this is another stream's
			in.leftovers = append(in.leftovers, e.Key)
			return nil
		}
		if batch = append(batch, e); len(batch) == intakeBatch {
			raw <- batch
			batch = make([]stream.Entry, 0, intakeBatch)
		}
		return nil
	})
	raw <- batch
	close(raw)
	in.rest.Wait()
	close(decoded)
	<-admitted
	return err
}

// decodeJobs decodes documents; one that is not a job's own is left without an id, for admit to refuse.
func decodeJobs(raw <-chan []stream.Entry, decoded chan<- []contract.Job) {
	for batch := range raw {
		jobs := make([]contract.Job, len(batch))
		for i, e := range batch {
			if err := json.Unmarshal(e.Value, &jobs[i]); err != nil || contract.JobKey(jobs[i].JobID) != e.Key {
				jobs[i] = contract.Job{}
			}
		}
		decoded <- jobs
	}
}

func (in *intake) admit(jobs []contract.Job) {
	for i := range jobs {
		if err := in.ledger.admit(&jobs[i]); err != nil {
			in.unreadable++ // its part is missing from the sums then, which is how it shows
		}
	}
}
