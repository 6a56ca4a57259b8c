package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullBatch is how many messages one pull asks for. Two pulls are open at a time, so that a server that has
	// given all of one goes on with the other while we ask: with fewer it waits for us, and we for it.
	pullBatch = 8000
	// pullBytes is what all of a pull weighs at the most: it bounds what waits here for a slow reader.
	pullBytes = 8 << 20
	// pullExpires is how long a pull stays open where nothing comes.
	pullExpires = 30 * time.Second
	// heartbeat is how often the server says so where nothing comes; after two that did not, it has forgotten us.
	heartbeat = 5 * time.Second
	// burst is how many messages are handed on before anything else is looked at.
	burst = 64
	// statuses is room for what the server says of pulls while a reader is slow: it ends when they expire.
	statuses = 64
)

var (
	errMissed   = errors.New("a message is missing")
	errSilent   = errors.New("the server gives no sign of life")
	errLost     = errors.New("the connection was lost")
	errTooLarge = fmt.Errorf("the next message is larger than %d bytes", pullBytes)
)

// message is one of a stream, as its consumer gave it.
type message struct {
	*nats.Msg
	seq     uint64
	at      time.Time // when the stream stored it
	pending uint64    // how many are still to come behind it
}

func (m *message) stored() Stored {
	st := Stored{Seq: m.seq, At: m.at, Pending: m.pending}
	st.decode(m.Msg)
	return st
}

// reading is a consumer that nobody else reads and nobody acknowledges, and the pulls that keep it giving. It is
// over at the first doubt, for its owner to make another behind the last message that was handed on. The client
// has the same in its ordered consumer, which moves a timer and takes apart each message's reply for a second
// time: a fifth of what it costs to read a million events again.
type reading struct {
	s      *Stream
	stream string
	cons   jetstream.Consumer
	status chan nats.Status
	sub    *nats.Subscription
	in     chan *nats.Msg
	ask    string // the subject that pulls are sent to
	marked string // the consumer's name, as it stands in subjects
	asked  int    // messages that were asked for and have not come
	last   uint64 // the consumer's own number of the last message
}

// read makes the consumer. The reading is to be closed, whatever comes of it.
func (s *Stream) read(ctx context.Context, name string, cfg jetstream.ConsumerConfig) (*reading, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	r := &reading{
		s: s, stream: name, in: make(chan *nats.Msg, 2*pullBatch+statuses),
		// From before there is a consumer: it is gone where the server starts again.
		status: s.nc.StatusChanged(nats.CONNECTED, nats.CLOSED),
	}
	cfg.AckPolicy, cfg.MemoryStorage, cfg.Replicas, cfg.InactiveThreshold = jetstream.AckNonePolicy, true, 1, 5*time.Minute
	var err error
	if r.cons, err = s.js.CreateConsumer(ctx, name, cfg); err != nil {
		return r, err
	}
	own := r.cons.CachedInfo().Name
	r.ask, r.marked = "$JS.API.CONSUMER.MSG.NEXT."+name+"."+own, "."+own+"."
	r.sub, err = s.nc.ChanSubscribe(s.nc.NewInbox(), r.in)
	return r, err
}

func (r *reading) close() {
	r.s.nc.RemoveStatusListener(r.status)
	if r.sub != nil {
		_ = r.sub.Unsubscribe() // fails only where the connection is gone, and with it the subscription
	}
	if r.cons != nil {
		go r.dismiss()
	}
}

// dismiss tells the server that nobody reads any more. It would find out in five minutes, and a stream takes
// a thousand consumers: a program that loads a bucket with each start could not begin for the thousandth time.
func (r *reading) dismiss() {
	ctx, cancel := bound(context.Background())
	defer cancel()
	name := r.cons.CachedInfo().Name
	if err := r.s.js.DeleteConsumer(ctx, r.stream, name); err != nil {
		r.s.log.Debug("consumer is left to the server", "stream", r.stream, "consumer", name, "error", err)
	}
}

// each hands on every message until ctx ends, fn gives an error, or the reading is over.
func (r *reading) each(ctx context.Context, fn func(message) error) error {
	silence := time.NewTicker(2 * heartbeat)
	defer silence.Stop()
	heard := true
	for {
		if err := r.pull(); err != nil {
			return err
		}
		select {
		case m := <-r.in:
			heard = true
			if err := r.take(m, fn); err != nil {
				return err
			}
			for range min(len(r.in), burst) { // to wait for one of four things takes as long as to read a message
				if err := r.take(<-r.in, fn); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-r.status:
			return errLost
		case <-silence.C:
			if !heard && r.s.nc.IsConnected() {
				return errSilent
			}
			heard = false
		}
	}
}

// pull keeps two pulls open.
func (r *reading) pull() error {
	for r.asked <= pullBatch {
		if err := r.s.nc.PublishRequest(r.ask, r.sub.Subject, pullRequest); err != nil {
			return err
		}
		r.asked += pullBatch
	}
	return nil
}

// pullRequest is as ADR-13 has it.
var pullRequest = fmt.Appendf(nil, `{"batch":%d,"max_bytes":%d,"expires":%d,"idle_heartbeat":%d}`,
	pullBatch, pullBytes, pullExpires.Nanoseconds(), heartbeat.Nanoseconds())

func (r *reading) take(m *nats.Msg, fn func(message) error) error {
	if m.Reply == "" { // whatever its headers are like, a message of the stream has a reply
		return r.told(m.Header)
	}
	n, ok := r.numbers(m.Reply)
	if !ok {
		return fmt.Errorf("a message's place cannot be read from %q", m.Reply)
	}
	if n[ownSequence] != r.last+1 {
		return errMissed
	}
	r.last++
	r.asked--
	return fn(message{m, n[streamSequence], time.Unix(0, int64(n[storedAt])), n[stillPending]})
}

// What stands behind the consumer's name in the subject that a message would be acknowledged on (ADR-15).
const (
	_ = iota // deliveries
	streamSequence
	ownSequence
	storedAt
	stillPending
	numbers
)

// numbers reads them. The client's own way is made for every form of that subject, and takes three times as long.
func (r *reading) numbers(reply string) (n [numbers]uint64, ok bool) {
	_, rest, ok := strings.Cut(reply, r.marked)
	if !ok {
		return n, false
	}
	field := 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c >= '0' && c <= '9':
			n[field] = n[field]*10 + uint64(c-'0')
		case c != '.':
			return n, false
		default:
			if field++; field == numbers {
				return n, true
			}
		}
	}
	return n, field == numbers-1
}

// told takes what the server says of a pull: that it still stands, or that it is over, with how many of its
// messages did not come. Anything else is the end of the consumer.
func (r *reading) told(h nats.Header) error {
	status, description := h.Get("Status"), h.Get("Description")
	left, err := strconv.Atoi(h.Get("Nats-Pending-Messages"))
	switch {
	case status == "100":
		return nil
	case err != nil || status != "408" && description != "Message Size Exceeds MaxBytes" && description != "Batch Completed":
		return fmt.Errorf("%s %s", status, description)
	case status != "408" && left == pullBatch:
		return errTooLarge
	}
	r.asked -= left
	return nil
}
