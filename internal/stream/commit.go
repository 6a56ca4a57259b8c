package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"tallyman/contract"
)

// MaxBatch is how many messages our own servers are told to take in one batch, so a Commit has at most one
// change less. Others take DefaultBatch, and Commit then gives ErrTooLarge.
const (
	MaxBatch     = 5000
	DefaultBatch = 1000
	maxCommit    = MaxBatch - 1
)

// Change is one key of a Commit.
type Change struct {
	Key    string
	Value  []byte
	Delete bool
	// MarkerTTL of a Delete is how long those who follow can learn of it, in whole seconds: for so long a bucket
	// keeps a marker in the key's place. 0: for ever.
	MarkerTTL time.Duration
}

// Fence is the key that goes last and carries the revision that it must still have.
type Fence struct {
	Key      string
	Value    []byte
	Revision uint64 // 0: the key must be absent
}

// Commit writes all changes and the fence, or none of them, and gives the fence's new revision.
// ErrConflict: another has moved the fence. ErrTooLarge: this server takes smaller
// batches; nothing was written. ErrUnavailable: it is not known whether they were written.
//
// The batch protocol of JetStream (ADR-50): every message names the batch and its place; nothing is
// answered until the last, which asks for the commit.
func (b *Bucket) Commit(ctx context.Context, changes []Change, fence Fence) (uint64, error) {
	if len(changes) > maxCommit {
		return 0, fmt.Errorf("commit to %s: %d changes, at most %d fit one batch", b.name, len(changes), maxCommit)
	}
	batch := nuid.Next()
	for i, c := range changes {
		if err := b.s.nc.PublishMsg(b.batchMsg(batch, i+1, c)); err != nil {
			return 0, wrap(err, "commit to", b.name)
		}
	}
	last := b.batchMsg(batch, len(changes)+1, Change{Key: fence.Key, Value: fence.Value})
	last.Header.Set("Nats-Batch-Commit", "1")
	last.Header.Set(contract.HeaderExpectedSeq, strconv.FormatUint(fence.Revision, 10))
	ctx, cancel := bound(ctx)
	defer cancel()
	reply, err := b.s.nc.RequestMsgWithContext(ctx, last)
	if err != nil {
		return 0, wrap(err, "commit to", b.name)
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Count int                 `json:"count"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, fmt.Errorf("commit to %s: %w: unreadable ack: %w", b.name, ErrUnavailable, err)
	}
	if ack.Error != nil {
		return 0, wrap(ack.Error, "commit to", b.name)
	}
	if ack.Count != len(changes)+1 {
		return 0, fmt.Errorf("commit to %s: %w: %d of %d messages were taken", b.name, ErrUnavailable, ack.Count, len(changes)+1)
	}
	return ack.Seq, nil
}

func (b *Bucket) batchMsg(batch string, place int, c Change) *nats.Msg {
	m := &nats.Msg{Subject: contract.BucketSubject(b.name, c.Key), Data: c.Value, Header: nats.Header{
		"Nats-Batch-Id": {batch}, "Nats-Batch-Sequence": {strconv.Itoa(place)},
	}}
	if c.Delete {
		m.Data = nil
		m.Header.Set("KV-Operation", "DEL")
		if c.MarkerTTL > 0 {
			m.Header.Set(headerTTL, strconv.FormatInt(int64(c.MarkerTTL/time.Second), 10))
		}
	}
	return m
}
