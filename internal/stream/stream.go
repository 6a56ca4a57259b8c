package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// opTimeout bounds every single request.
const opTimeout = 5 * time.Second

// Options say which NATS to speak to, and as whom.
type Options struct {
	URL         string // nats://host:port, several separated by commas
	Credentials string // path of a .creds file, of an nkey seed or of a line user:password; none for an open server
	Inbox       string // first token of the subjects that answers come back on; "": _INBOX, as everybody's
	Name        string // of this client, for people who list connections
	Log         *slog.Logger
	// InProcess skips the socket where the server lives in this process.
	InProcess nats.InProcessConnProvider
}

func (o *Options) validate() error {
	if o.URL == "" && o.InProcess == nil {
		return errors.New("stream: URL is empty; give the address of NATS, like nats://127.0.0.1:4222")
	}
	return nil
}

// Stream is a connection to NATS. Its methods may be called from many goroutines.
type Stream struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	log      *slog.Logger
	refusals *refusals
}

// Connect dials NATS once and fails where nobody answers; from then on it reconnects for ever.
func Connect(ctx context.Context, o Options) (*Stream, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	refused := &refusals{log: o.Log, named: make(map[string]bool)}
	opts := []nats.Option{
		nats.Name(o.Name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		// The client would give up for good at a second refusal; credentials are mended while we wait.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // an unsent publish is an error at once, never a surprise later
		nats.Timeout(opTimeout),
		nats.ErrorHandler(refused.handle),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				o.Log.Warn("nats disconnected", "error", err)
			}
		}),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.Inbox))
	}
	if o.Credentials != "" {
		opt, err := credentials(o.Credentials)
		if err != nil {
			return nil, err
		}
		opts = append(opts, opt)
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w: %w", redacted(o.URL), ErrUnavailable, err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(opTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect to NATS at %s: %w", redacted(o.URL), err)
	}
	return &Stream{nc: nc, js: js, log: o.Log, refusals: refused}, ctx.Err()
}

// redacted is addresses without the passwords that some put into them.
func redacted(addresses string) string {
	list := strings.Split(addresses, ",")
	for i, a := range list {
		if u, err := url.Parse(strings.TrimSpace(a)); err == nil && u.User != nil {
			list[i] = u.Redacted()
		}
	}
	return strings.Join(list, ",")
}

// Close ends the connection at once; every publish that was acknowledged is safe already.
func (s *Stream) Close() { s.nc.Close() }

// Ready tells what is wrong where NATS does not answer, or answers and stores nothing, as after its disk was
// full. A stream that nobody has made yet is no fault of NATS.
func (s *Stream) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if _, err := s.Info(ctx); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("NATS does not answer, or cannot store: %w", err)
	}
	return nil
}

// Subscribe hands core messages of a subject to fn until ctx ends. They are not stored: what is
// published while nobody listens is gone.
func (s *Stream) Subscribe(ctx context.Context, subject string, fn func(subject string, data []byte)) error {
	sub, err := s.nc.Subscribe(subject, func(m *nats.Msg) { fn(m.Subject, m.Data) })
	if err != nil {
		return wrap(err, "subscribe to", subject)
	}
	<-ctx.Done()
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return wrap(err, "unsubscribe from", subject)
	}
	return ctx.Err()
}

// PublishCore sends a message that nobody stores and nobody acknowledges.
func (s *Stream) PublishCore(subject string, data []byte) error {
	return wrap(s.nc.Publish(subject, data), "publish", subject)
}

// bound gives every request a deadline, however long its caller has: one that was under way when a server went is
// answered by nobody.
func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if at, ok := ctx.Deadline(); ok && time.Until(at) <= opTimeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, opTimeout)
}
