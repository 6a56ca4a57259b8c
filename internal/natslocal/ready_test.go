package natslocal

import (
	"context"
	"errors"
	"testing"
	"time"

	"tallyman/internal/stream"
)

// A server that found no room on its disk shuts its JetStream down and goes on answering: whoever is connected
// must not take that for readiness.
func TestAClientIsNotReadyWhereNothingIsStored(t *testing.T) {
	s, err := Start(Options{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := stream.Connect(ctx, stream.Options{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.Ready(ctx); err != nil {
		t.Errorf("before there are streams: %v", err)
	}
	if err := client.Ensure(ctx, stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	if err := client.Ready(ctx); err != nil {
		t.Error(err)
	}
	if err := s.now().ShutdownJetStream(); err != nil { // as the server does itself
		t.Fatal(err)
	}
	if err := client.Ready(ctx); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("nothing is stored, and its client says %v", err)
	}
	if s.Ready(ctx) == nil {
		t.Error("nothing is stored, and the server says that all is well")
	}
	if err := s.restart(); err != nil {
		t.Fatal(err)
	}
	for err = client.Ready(ctx); err != nil; err = client.Ready(ctx) {
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
