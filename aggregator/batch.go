package aggregator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// How many job documents one commit holds: the more, the fewer are written again and again while a backlog
// is folded. A server that was told nothing takes batches of 1000; stats, attention and checkpoint are of
// them too.
const (
	besides      = 10
	maxDocuments = stream.MaxBatch - besides
	minDocuments = stream.DefaultBatch - besides
)

// maxWeight bounds the packed bytes of the jobs of one commit; their documents are some ten times that.
const maxWeight = 2 << 20

// markerTTL is for how long who follows the bucket is told that a job's document is gone. Whoever was away for
// longer learns it from the stats, which say from when on documents are kept.
const markerTTL = time.Hour

// batch is one commit: what the ledger was at a sequence. Everything in it is a copy or is never
// changed, so it is encoded and sent while the fold goes on.
type batch struct {
	fence         fence // that must be in place
	seq           uint64
	jobs          []changed
	gone          []string // keys of another stream's documents; nothing but their markers tells of these
	queues, types []string
	books         []contract.Book
	stats         contract.Stats
	attention     *contract.Attention // nil: as it was
	checkpoint    checkpoint
}

// changed is a job as it is now; "" where it is gone.
type changed struct {
	id  jobID
	now packed
}

// commit writes the batch and gives the fence that it leaves. errMoved: another has written, or it is
// not certain that nobody has; what is in memory is of no more use.
func (b *batch) commit(ctx context.Context, bucket Bucket) (fence, error) {
	changes, err := b.changes()
	if err != nil {
		return fence{}, err
	}
	value, err := json.Marshal(&b.checkpoint)
	if err != nil {
		return fence{}, fmt.Errorf("encode %s: %w", contract.KeyCheckpoint, err)
	}
	revision, err := bucket.Commit(ctx, changes, stream.Fence{
		Key: contract.KeyCheckpoint, Value: value, Revision: b.fence.revision,
	})
	if errors.Is(err, stream.ErrTooLarge) {
		return fence{}, err // and nothing was written
	}
	if err != nil {
		return b.settle(ctx, bucket, value, err)
	}
	return fence{revision, b.seq}, nil
}

// settleEvery is how often the checkpoint is asked for while NATS does not answer.
const settleEvery = 250 * time.Millisecond

// settle finds out what became of a commit that was refused or not answered: the checkpoint is ours to
// the byte, so it was made, by whomever; or it is another, and then the memory is dropped. It is never
// sent again.
func (b *batch) settle(ctx context.Context, bucket Bucket, value []byte, cause error) (fence, error) {
	for {
		e, err := getCheckpoint(ctx, bucket)
		switch {
		case err == nil && e.Revision > b.fence.revision && bytes.Equal(e.Value, value):
			return fence{e.Revision, b.seq}, nil
		case err == nil:
			return fence{}, fmt.Errorf("%w: %w", errMoved, cause)
		case !errors.Is(err, stream.ErrUnavailable):
			return fence{}, fmt.Errorf("%w (the commit before: %w)", err, cause)
		}
		select {
		case <-ctx.Done():
			return fence{}, ctx.Err()
		case <-time.After(settleEvery):
		}
	}
}

// changes are the batch's keys, but for the checkpoint.
func (b *batch) changes() ([]stream.Change, error) {
	changes := make([]stream.Change, 0, len(b.jobs)+len(b.gone)+len(b.books)+2)
	for _, key := range b.gone {
		changes = append(changes, stream.Change{Key: key, Delete: true})
	}
	var j job
	all := make([]byte, 0, 768*len(b.jobs)) // one piece for all documents, which are some 600 bytes each
	for _, c := range b.jobs {
		key := contract.JobKey(c.id.String())
		if c.now == "" {
			changes = append(changes, stream.Change{Key: key, Delete: true, MarkerTTL: markerTTL})
			continue
		}
		c.now.unpack(&j)
		from := len(all)
		all = j.document(all, c.id, b.queues, b.types)
		changes = append(changes, stream.Change{Key: key, Value: all[from:len(all):len(all)]})
	}
	var err error
	for i := range b.books {
		if changes, err = put(changes, b.books[i].Key(), &b.books[i]); err != nil {
			return nil, err
		}
	}
	if b.attention != nil {
		if changes, err = put(changes, contract.KeyAttention, b.attention); err != nil {
			return nil, err
		}
	}
	return put(changes, contract.KeyStats, &b.stats)
}

func put(changes []stream.Change, key string, document any) ([]stream.Change, error) {
	value, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", key, err)
	}
	return append(changes, stream.Change{Key: key, Value: value}), nil
}
