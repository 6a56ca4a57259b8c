package stream_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// A person may limit what the stream and the output take of the disk, as docs/capacity.md says: the oldest go, and no
// component minds.
func TestSizesMayBeLimitedByHand(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	s := testenv.Dial(t, srv)
	if err := s.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	const limit = 64 << 10
	output := contract.BucketStream(contract.BucketOutput)
	for _, name := range []string{contract.StreamEvents, output} {
		onJetStream(t, srv.URL(), func(js jetstream.JetStream) {
			have, err := js.Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			cfg := have.CachedInfo().Config
			cfg.MaxBytes = limit
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := s.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Errorf("a start with them: %v", err)
	}
	said, tail := bucket(t, s, contract.BucketOutput), []byte(strings.Repeat("x", 1<<10))
	for n := range 300 {
		if _, err := s.Publish(t.Context(), event(t, n)); err != nil {
			t.Fatal(err)
		}
		if _, err := said.Put(t.Context(), fmt.Sprint(n), tail); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{contract.StreamEvents, output} {
		onStream(t, srv.URL(), name, func(have jetstream.Stream) {
			if is := have.CachedInfo().State; is.Bytes > limit || is.FirstSeq == 1 || is.LastSeq != 300 {
				t.Errorf("%s: %d bytes, from %d to %d", name, is.Bytes, is.FirstSeq, is.LastSeq)
			}
		})
	}
}
