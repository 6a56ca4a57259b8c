package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Limits of what the ledger holds beside the index.
const (
	hotBytes      = 8 << 20 // of documents that were read or written last
	maxApply      = 2000    // changes in one transaction
	waitForJob    = time.Second
	waitForLedger = time.Second
)

// ledger is the bucket "jobs" in this process: the stats ready to send, the documents in an index, and
// bells for those who wait. One watch at a time fills it.
type ledger struct {
	log    *slog.Logger
	index  *index
	hot    *lru[string, []byte]
	bells  *bells
	books  *books
	answer atomic.Pointer[tagged]        // of GET /jobs/stats, rendered once
	read   atomic.Pointer[chan struct{}] // what loaded gives
}

// tagged is a body and its ETag.
type tagged struct{ body, etag []byte }

func newTagged(body []byte) *tagged {
	sum := sha256.Sum256(body)
	return &tagged{body: body, etag: []byte(`"` + hex.EncodeToString(sum[:12]) + `"`)}
}

func newLedger(log *slog.Logger, x *index, b *bells) *ledger {
	l := &ledger{log: log, index: x, hot: newLRU[string, []byte](hotBytes), bells: b, books: newBooks()}
	unread := make(chan struct{})
	l.read.Store(&unread)
	l.render()
	return l
}

// loaded is closed once all that the bucket held is here. Another takes its place where the bucket is read anew.
func (l *ledger) loaded() <-chan struct{} { return *l.read.Load() }

// unload begins a loading.
func (l *ledger) unload() {
	select {
	case <-l.loaded():
		unread := make(chan struct{})
		l.read.Store(&unread)
	default: // whoever waits already waits for this one
	}
}

// run follows the bucket until ctx ends. That somebody makes it anew is how books are mended: what was read of the old
// one is dropped then, and nothing is answered until the new one has been read.
func (l *ledger) run(ctx context.Context, bucket Watcher) error {
	for {
		err := l.follow(ctx, bucket)
		if !errors.Is(err, stream.ErrAnew) {
			return err
		}
		l.log.Warn("the books were made anew, and are read from the start", "bucket", contract.BucketJobs)
		if err := l.drop(ctx); err != nil {
			return err
		}
	}
}

// drop empties the ledger. Whoever waits for a job learns that it cannot be said now, and asks again.
func (l *ledger) drop(ctx context.Context) error {
	l.unload() // first: nobody is told of emptiness
	l.books.drop()
	l.render()
	if err := l.index.drop(ctx); err != nil {
		return err
	}
	l.hot.drop()
	l.bells.ringAll()
	return nil
}

// follow watches the bucket, and writes what comes in transactions as large as the index is behind.
func (l *ledger) follow(ctx context.Context, bucket Watcher) error {
	changes := make(chan change, maxApply)
	work, ctx := errgroup.WithContext(ctx)
	hand := func(c change) error {
		select {
		case changes <- c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	work.Go(func() error {
		return bucket.Watch(ctx, ">", func(e stream.Entry) error { return l.take(e, hand) },
			func() error { return hand(change{loaded: true}) })
	})
	work.Go(func() error { return l.write(ctx, changes) })
	return work.Wait()
}

// take sorts one entry of the bucket. A document that cannot be read is left out: the books still count it.
func (l *ledger) take(e stream.Entry, hand func(change) error) error {
	switch {
	case e.Key == contract.KeyStats && !e.Deleted:
		return hand(change{stats: e.Value})
	case isBook(e.Key):
		return hand(change{book: &e})
	}
	id, ok := contract.JobIDOfKey(e.Key)
	if !ok {
		return nil
	}
	c := change{id: id}
	if !e.Deleted {
		c.doc = e.Value
		if err := json.Unmarshal(e.Value, &c.row); err != nil {
			l.log.Error("document cannot be read", "key", e.Key, "error", err)
			return nil
		}
	}
	return hand(c)
}

// audited shows another audit with the books.
func (l *ledger) audited(a *contract.Audit) {
	l.books.audited(a)
	l.render()
}

// render makes the answer of GET /jobs/stats, which nobody then has to.
func (l *ledger) render() {
	l.books.mu.Lock() // so that of two renderings the newer is stored last
	defer l.books.mu.Unlock()
	body, err := json.Marshal(&l.books.shown)
	if err != nil { // of numbers, words and maps, which cannot be refused
		l.log.Error("stats cannot be rendered", "error", err)
		return
	}
	l.answer.Store(newTagged(body))
}

// write applies changes until ctx ends. The stats of a commit are shown behind its documents, so nobody who has
// seen a job counted is then told of an older state of it. While the first of them come nobody reads, so what
// lists are read by is made behind them, and what is retired waits for it.
func (l *ledger) write(ctx context.Context, changes <-chan change) error {
	loaded, before := false, int64(0)
	for {
		batch, mark, err := gather(ctx, changes)
		if err != nil {
			return err
		}
		if err := l.apply(ctx, batch); err != nil {
			return err
		}
		switch {
		case mark.book != nil:
			if err := l.books.take(*mark.book); err != nil {
				l.log.Error("book cannot be read", "error", err)
			}
		case mark.stats != nil:
			l.show(mark.stats)
			before = l.books.keptSince()
		case mark.loaded:
			if err := l.index.order(ctx); err != nil {
				return err
			}
			loaded = true
		}
		if loaded && before > 0 {
			if err := l.retire(ctx, before); err != nil {
				return err
			}
			before = 0
		}
		if mark.loaded {
			close(*l.read.Load())
		}
	}
}

func (l *ledger) show(stats []byte) {
	if err := l.books.show(stats); err != nil {
		l.log.Error("stats cannot be read", "error", err)
		return
	}
	l.render()
}

// gather waits for one change and takes those that wait behind it. Of several of one document the last
// stands. What is no document ends them.
func gather(ctx context.Context, changes <-chan change) (batch []change, mark change, err error) {
	at := make(map[string]int)
	for len(batch) < maxApply {
		var c change
		if len(batch) == 0 {
			select {
			case c = <-changes:
			case <-ctx.Done():
				return nil, mark, ctx.Err()
			}
		} else {
			select {
			case c = <-changes:
			default:
				return batch, mark, nil
			}
		}
		if c.id == "" {
			return batch, c, nil
		} else if i, twice := at[c.id]; twice {
			batch[i] = c
		} else {
			at[c.id] = len(batch)
			batch = append(batch, c)
		}
	}
	return batch, mark, nil
}

func (l *ledger) apply(ctx context.Context, batch []change) error {
	if len(batch) == 0 {
		return nil
	}
	if err := l.index.apply(ctx, batch); err != nil {
		return err
	}
	for _, c := range batch {
		if c.doc == nil {
			l.hot.remove(c.id)
		} else {
			l.hot.put(c.id, c.doc, len(c.doc))
		}
		l.bells.ring(c.id)
	}
	return nil
}

// retire drops what the bucket says is gone. The marker of each is kept for an hour only, and this process may
// have been away for longer, so what is gone is told by the state and not by the marker alone.
func (l *ledger) retire(ctx context.Context, before int64) error {
	gone, err := l.index.retire(ctx, before)
	for _, id := range gone {
		l.hot.remove(id)
	}
	return err
}

// ready waits a little for the loading.
func (l *ledger) ready(ctx context.Context) error {
	select {
	case <-l.loaded():
		return nil
	default:
	}
	timer := time.NewTimer(waitForLedger)
	defer timer.Stop()
	select {
	case <-l.loaded():
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return contract.Errorf(contract.CodeUnavailable, "", "the books are still being read; try again")
}

// job gives a document; stream.ErrNotFound where there is none (yet).
func (l *ledger) job(ctx context.Context, id string) (job contract.Job, err error) {
	if err := l.ready(ctx); err != nil {
		return job, err
	}
	doc, ok := l.hot.get(id)
	if !ok {
		if doc, err = l.index.get(ctx, id); err != nil {
			return job, err
		}
	}
	if doc == nil {
		return job, fmt.Errorf("job %s: %w", id, stream.ErrNotFound)
	}
	if err := json.Unmarshal(doc, &job); err != nil {
		return job, fmt.Errorf("document of job %s: %w", id, err)
	}
	return job, nil
}

// await gives a document, and waits a moment for one that is not there yet; then stream.ErrNotFound.
func (l *ledger) await(ctx context.Context, id string) (contract.Job, error) {
	rings, takeDown := l.bells.hang(id)
	defer takeDown()
	timer := time.NewTimer(waitForJob)
	defer timer.Stop()
	for {
		job, err := l.job(ctx, id)
		if !isNotFound(err) {
			return job, err
		}
		select {
		case <-rings:
		case <-timer.C:
			return job, err
		case <-ctx.Done():
			return job, ctx.Err()
		}
	}
}
