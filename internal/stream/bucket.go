package stream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
)

// headerTTL is for how many seconds the server keeps a message.
const headerTTL = "Nats-TTL"

// Entry is a key's newest value.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	At       time.Time
	Deleted  bool // only seen by those who watch

	// TTL of a deleted one is how long its marker is kept; 0: for ever, or as long as the bucket keeps anything.
	TTL time.Duration
}

// Bucket is a set of keys with revisions. Deciding is done by Create, Update and Delete, which compare;
// a Get alone decides nothing.
type Bucket struct {
	s    *Stream
	name string
	kv   jetstream.KeyValue
}

// Bucket binds a bucket that Ensure has made.
func (s *Stream) Bucket(ctx context.Context, name string) (*Bucket, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	kv, err := s.js.KeyValue(ctx, name)
	if err != nil {
		return nil, wrap(err, "open bucket", name)
	}
	return &Bucket{s: s, name: name, kv: kv}, nil
}

// Get reads a key. ErrNotFound where it is absent or deleted.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	e, err := b.kv.Get(ctx, key)
	if err != nil {
		return Entry{}, wrap(err, "get", b.at(key))
	}
	return Entry{Key: key, Value: e.Value(), Revision: e.Revision(), At: e.Created()}, nil
}

// Create writes a key that is absent or deleted. ErrConflict where it is there.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	rev, err := b.kv.Create(ctx, key, value)
	return rev, wrap(err, "create", b.at(key))
}

// Update replaces the value at a revision. ErrConflict where there is another.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	rev, err := b.kv.Update(ctx, key, value, revision)
	return rev, wrap(err, "update", b.at(key))
}

// Put writes a key whatever is there. For keys with one writer, or whose last word may win.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	rev, err := b.kv.Put(ctx, key, value)
	return rev, wrap(err, "put", b.at(key))
}

// Delete removes the value at a revision. ErrConflict where there is another.
func (b *Bucket) Delete(ctx context.Context, key string, revision uint64) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return wrap(b.kv.Delete(ctx, key, jetstream.LastRevision(revision)), "delete", b.at(key))
}

func (b *Bucket) at(key string) string { return b.name + "/" + key }

// Watch hands the present value of every key that matches filter ("*" is one token, ">" the rest) to fn,
// calls loaded once, then hands over every change, until ctx ends or either gives an error. While the
// bucket is being written the present values are of no one moment. ErrAnew: the bucket was made anew, and has
// other values under the same revisions; what is gone with the old one nobody will say.
func (b *Bucket) Watch(ctx context.Context, filter string, fn func(Entry) error, loaded func() error) error {
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		FilterSubject: contract.BucketSubject(b.name, filter),
	}
	isLoaded := false
	load := func(pending uint64) error {
		if pending > 0 || isLoaded {
			return nil
		}
		isLoaded = true
		return loaded()
	}
	prefix := len(contract.BucketSubject(b.name, ""))
	return b.s.consume(ctx, contract.BucketStream(b.name), cfg, 0, func(m message) error {
		e := Entry{
			Key: m.Subject[prefix:], Value: m.Data, Revision: m.seq, At: m.at,
			Deleted: m.Header.Get("KV-Operation") != "" || m.Header.Get("Nats-Marker-Reason") != "",
		}
		if seconds, err := strconv.Atoi(m.Header.Get(headerTTL)); err == nil && e.Deleted {
			e.TTL = time.Duration(seconds) * time.Second
		}
		if err := fn(e); err != nil {
			return err
		}
		return load(m.pending)
	}, load)
}

// errLoaded ends a Watch that only wanted the present.
var errLoaded = errors.New("loaded")

// Each hands the present value of every key that matches filter to fn.
func (b *Bucket) Each(ctx context.Context, filter string, fn func(Entry) error) error {
	err := b.Watch(ctx, filter, func(e Entry) error {
		if e.Deleted {
			return nil
		}
		return fn(e)
	}, func() error { return errLoaded })
	if errors.Is(err, errLoaded) {
		return nil
	}
	return err
}

// List gives the present value of every key that matches filter; for buckets known to be small.
func (b *Bucket) List(ctx context.Context, filter string) ([]Entry, error) {
	var all []Entry
	err := b.Each(ctx, filter, func(e Entry) error {
		all = append(all, e)
		return nil
	})
	return all, err
}
