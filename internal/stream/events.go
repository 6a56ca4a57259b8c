package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
)

// Stored is an event as the stream holds it.
type Stored struct {
	Seq     uint64
	At      time.Time // when the stream stored it
	Pending uint64    // how many are still to come behind it; 0: this is the newest
	Raw     []byte
	Event   contract.Event
	Fault   error // why Event could not be read; it is then the zero value
}

// decode reads a message of the stream of events. The client makes each message's bytes for it alone, and nobody
// changes them, so they are the text that the event is made of: a copy of every message is a tenth of reading it, and
// would be kept for as long as any part of the event is.
func (st *Stored) decode(m *nats.Msg) {
	st.Raw = m.Data
	st.Event, st.Fault = contract.DecodeEventText(unsafe.String(unsafe.SliceData(m.Data), len(m.Data)))
}

// Publish says an event and waits until the stream has it. A repeat within the window of duplicates gives
// the sequence of the first. ErrUnavailable: it may or may not be stored; say it again.
func (s *Stream) Publish(ctx context.Context, e contract.Event) (uint64, error) {
	seq, _, err := s.PublishOnce(ctx, e)
	return seq, err
}

// PublishOnce is Publish, and tells whether the stream had an event of this id already, which then is the one at seq;
// what that one says, only reading it tells.
func (s *Stream) PublishOnce(ctx context.Context, e contract.Event) (seq uint64, had bool, err error) {
	b, err := e.Encode()
	if err != nil {
		return 0, false, fmt.Errorf("event %s: %w", e.ID(), err)
	}
	ctx, cancel := bound(ctx)
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{
		Subject: e.Subject(), Data: b,
		Header: nats.Header{
			contract.HeaderMsgID:       {e.MsgID()},
			contract.HeaderContentType: {contract.ContentTypeEvent},
		},
	})
	if err != nil {
		return 0, false, wrap(err, "publish event", e.ID())
	}
	return ack.Sequence, ack.Duplicate, nil
}

// Info is where the stream of events begins and ends. Created tells one stream from its successor.
type Info struct {
	Created     time.Time
	First, Last uint64
	Deleted     []uint64 // of those between: somebody's hand, in a stream made before ours forbade it
}

// Absent says why a server did not give an event. Any that keeps the stream answers a read, and one that is behind
// does not have yet what others have seen: ErrBehind where the stream has it, ErrNotFound where it has it not, or no more.
func (i *Info) Absent(seq uint64) error {
	if i.First <= seq && seq <= i.Last && !slices.Contains(i.Deleted, seq) {
		return fmt.Errorf("event %d: %w", seq, ErrBehind)
	}
	return fmt.Errorf("event %d: %w", seq, ErrNotFound)
}

// Info asks the stream's leader.
func (s *Stream) Info(ctx context.Context) (Info, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	str, err := s.js.Stream(ctx, contract.StreamEvents)
	if err != nil {
		return Info{}, wrap(err, "look at stream", contract.StreamEvents)
	}
	i := str.CachedInfo()
	if i.State.NumDeleted > 0 { // which they are it tells only who asks for them
		if i, err = str.Info(ctx, jetstream.WithDeletedDetails(true)); err != nil {
			return Info{}, wrap(err, "look at stream", contract.StreamEvents)
		}
	}
	return Info{Created: i.Created.UTC(), First: i.State.FirstSeq, Last: i.State.LastSeq, Deleted: i.State.Deleted}, nil
}

// Event reads one event. ErrNotFound: the stream has it not, or no more; ErrBehind: the server that answered has it not yet.
func (s *Stream) Event(ctx context.Context, seq uint64) (Stored, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	at := fmt.Sprint(seq)
	m, err := s.nc.RequestWithContext(ctx, directGet, fmt.Appendf(nil, `{"seq":%d}`, seq))
	if err != nil {
		return Stored{}, wrap(err, "read event", at)
	}
	switch status := m.Header.Get("Status"); status {
	case "":
	case "404":
		info, err := s.Info(ctx)
		if err == nil {
			err = info.Absent(seq)
		}
		return Stored{}, fmt.Errorf("read: %w", err)
	default:
		return Stored{}, wrap(fmt.Errorf("%s %s", status, m.Header.Get("Description")), "read event", at)
	}
	st, err := storedOf(m)
	return st, wrap(err, "read event", at)
}

// Follow hands every event from seq on to fn, in order, those that come later too, until ctx ends or fn
// gives an error, which it returns. Sequences that the stream no longer has are jumped over; fn sees that
// by the numbers. It goes on by itself when NATS comes back. ErrAnew: what comes would be of another stream.
func (s *Stream) Follow(ctx context.Context, from uint64, fn func(Stored) error) error {
	return s.consume(ctx, contract.StreamEvents, jetstream.ConsumerConfig{}, from, func(m message) error {
		return fn(m.stored())
	}, nil)
}

// Read hands every event that is stored from seq on to fn, in order, and returns when there is no more, or
// with the error that fn gives.
func (s *Stream) Read(ctx context.Context, from uint64, fn func(Stored) error) error {
	ended := func(pending uint64) error {
		if pending == 0 {
			return errLoaded
		}
		return nil
	}
	err := s.consume(ctx, contract.StreamEvents, jetstream.ConsumerConfig{}, from, func(m message) error {
		if err := fn(m.stored()); err != nil {
			return err
		}
		return ended(m.pending)
	}, ended)
	if errors.Is(err, errLoaded) {
		return nil
	}
	return err
}

// consume reads a stream in order, and makes a new reading behind the last message whenever one is over.
// started is called with the number of messages that wait, whenever a consumer stands: what was still to come when
// the one before it broke may be gone by then. ErrAnew: the stream is no longer the one that was read.
func (s *Stream) consume(ctx context.Context, name string, cfg jetstream.ConsumerConfig, from uint64,
	fn func(message) error, started func(pending uint64) error,
) error {
	var created time.Time // of the stream; zero: it was never reached
	var last uint64       // that was read
	begin := func(r *reading) error {
		if err := s.same(ctx, name, &created, last); err != nil || started == nil {
			return err
		}
		info, err := r.cons.Info(ctx)
		if err != nil {
			return wrap(err, "consume", name)
		}
		return ending(started(info.NumPending))
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		c := cfg
		if from > 0 {
			c.DeliverPolicy, c.OptStartSeq, c.OptStartTime = jetstream.DeliverByStartSequencePolicy, from, nil
		}
		next, err := s.consumeOnce(ctx, name, c, from, fn, begin)
		var ended *endError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &ended):
			return ended.err
		case next != from:
			wait, last = 100*time.Millisecond, next-1
		}
		from = next
		s.log.Warn("consumer broke, will be made again", "stream", name, "from", from, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// same holds a stream to the one that was read before. One that was made anew begins at 1 again, and one that was set
// back ends before what was read: a consumer there would wait for a sequence that others have had, and say nothing.
// It is asked when the consumer stands and has given nothing yet, so that whatever it gives is of that stream.
func (s *Stream) same(ctx context.Context, name string, created *time.Time, last uint64) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	str, err := s.js.Stream(ctx, name)
	if err != nil {
		return wrap(err, "look at stream", name)
	}
	info := str.CachedInfo()
	if !created.IsZero() && !info.Created.Equal(*created) || info.State.LastSeq < last {
		return ending(fmt.Errorf("consume %s behind %d: %w", name, last, ErrAnew))
	}
	*created = info.Created
	return nil
}

// endError ends the consuming; after every other error there is another reading.
type endError struct{ err error }

func (e *endError) Error() string { return e.err.Error() }

func ending(err error) error {
	if err == nil {
		return nil
	}
	return &endError{err}
}

func (s *Stream) consumeOnce(ctx context.Context, name string, cfg jetstream.ConsumerConfig, from uint64,
	fn func(message) error, begin func(*reading) error,
) (next uint64, err error) {
	r, err := s.read(ctx, name, cfg)
	defer r.close()
	if err != nil {
		return from, wrap(err, "consume", name)
	}
	if err := begin(r); err != nil {
		return from, err
	}
	err = r.each(ctx, func(m message) error {
		if err := fn(m); err != nil {
			return ending(err)
		}
		from = m.seq + 1
		return nil
	})
	return from, wrap(err, "consume", name)
}
