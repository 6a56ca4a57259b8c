package sqslocal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Server is one local SQS. Many may live in one process.
type Server struct {
	store     *store
	listener  net.Listener
	http      *http.Server
	newcomers newcomers
}

// New opens the store and the port, so that whatever is in the way is known
// before anything runs. A Server that will not Run is to be Closed.
func New(o Options) (*Server, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("sqslocal options: %w", err)
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("sqslocal: listen on %s (is the port in use? port 0 takes a free one): %w", o.Addr, err)
	}
	store, err := openStore(context.Background(), o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqslocal: %w", err), listener.Close())
	}
	s := &Server{store: store, listener: listener, newcomers: newcomers{conns: map[net.Conn]struct{}{}}}
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         s.newcomers.observe,
	}
	s.http.RegisterOnShutdown(s.newcomers.dismiss)
	return s, nil
}

// Run serves until the context ends. Then long polls return empty-handed,
// requests under way are finished, and the store is closed.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	s.store.log.Debug("sqs is served", "url", s.URL())
	select {
	case err := <-served:
		if errors.Is(err, http.ErrServerClosed) {
			return s.Close()
		}
		return errors.Join(fmt.Errorf("sqslocal: serve %s: %w", s.URL(), err), s.Close())
	case <-ctx.Done():
	}
	s.store.drain()
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := s.http.Shutdown(drained)
	if err != nil {
		err = fmt.Errorf("sqslocal: requests were cut off after %s: %w", drainTimeout, err)
	}
	return errors.Join(err, s.Close())
}

// Close ends the server at once. Closing twice is harmless.
func (s *Server) Close() error {
	// Serve may have closed the listener already; that is what was wanted.
	return errors.Join(s.http.Close(), ignoreClosed(s.listener.Close()), s.store.shut())
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Handler is the protocol without the port, for a server of one's own.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.ServeHTTP) }

// URL is the endpoint that clients are pointed at, such as http://127.0.0.1:9324.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// QueueURL is the URL of the queue of that name, which need not exist.
func (s *Server) QueueURL(name string) string {
	return s.store.address.url(s.listener.Addr().String(), name)
}

// QueueARN is the Amazon Resource Name of the queue of that name, for a redrive policy.
func (s *Server) QueueARN(name string) string { return s.store.address.arn(name) }

// EnsureQueue makes the queue, or gives an existing one these attributes and
// leaves its others alone.
func (s *Server) EnsureQueue(ctx context.Context, name string, attributes map[string]string) (string, error) {
	err := s.store.do(ctx, func(t *tx) error {
		if q := t.queues[name]; q != nil {
			return t.setAttributes(q, attributes)
		}
		return t.createQueue(name, attributes, nil)
	})
	if err != nil {
		return "", fmt.Errorf("queue %s: %w", name, err)
	}
	return s.QueueURL(name), nil
}

// hostOf is the host under which the client knows us.
func (s *Server) hostOf(r *http.Request) string {
	if r.Host == "" {
		return s.listener.Addr().String()
	}
	return r.Host
}
