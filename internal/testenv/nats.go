package testenv

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
)

// NATSServer starts a NATS of the test's own on a free port of the loopback.
func NATSServer(t testing.TB) *natslocal.Server {
	t.Helper()
	s, err := natslocal.Start(natslocal.Options{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// NATS gives a connection to a NATS of the test's own, with every stream and bucket made.
func NATS(t testing.TB) *stream.Stream {
	t.Helper()
	s := Dial(t, NATSServer(t))
	MakeStreams(t, s)
	return s
}

// MakeStreams makes every stream and bucket, with the patience that a machine needs whose disk is busy.
func MakeStreams(t testing.TB, s *stream.Stream) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := s.Ensure(t.Context(), stream.DefaultSettings())
		if err == nil {
			return
		}
		if !errors.Is(err, stream.ErrUnavailable) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Dial connects to a server once more.
func Dial(t testing.TB, srv *natslocal.Server) *stream.Stream {
	t.Helper()
	s, err := stream.Connect(t.Context(), stream.Options{URL: srv.URL(), Name: t.Name(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
