package stream_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// Any server that keeps the stream answers who reads one event. What it has not stored yet is none that is gone.
func TestAServerThatIsBehindIsNotTakenForTheStream(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	s := testenv.Dial(t, srv)
	onJetStream(t, srv.URL(), func(js jetstream.JetStream) {
		events, err := js.CreateStream(t.Context(), jetstream.StreamConfig{ // as one was that let itself be altered
			Name: contract.StreamEvents, Subjects: []string{contract.EventSubjects}, AllowDirect: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			if _, err := s.Publish(t.Context(), event(t, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := events.DeleteMsg(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		if err := events.Purge(t.Context(), jetstream.WithPurgeSequence(2)); err != nil {
			t.Fatal(err)
		}
		absent := func(when string, want map[uint64]error) {
			t.Helper()
			for seq := uint64(1); seq <= 6; seq++ {
				if _, err := s.Event(t.Context(), seq); !errors.Is(err, want[seq]) {
					t.Errorf("%s, event %d: %v, want %v", when, seq, err, want[seq])
				}
			}
		}
		gone := map[uint64]error{1: stream.ErrNotFound, 3: stream.ErrNotFound, 6: stream.ErrNotFound}
		absent("a server that has all", gone)
		cfg := events.CachedInfo().Config
		cfg.AllowDirect = false // for another to answer in its place
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		_, err = js.Conn().Subscribe("$JS.API.DIRECT.GET."+contract.StreamEvents, func(m *nats.Msg) {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"Message Not Found"}}})
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := js.Conn().Flush(); err != nil {
			t.Fatal(err)
		}
		for _, seq := range []uint64{2, 4, 5} {
			gone[seq] = stream.ErrBehind
		}
		absent("a server that has none yet", gone)
	})
	if !errors.Is(stream.ErrBehind, stream.ErrUnavailable) || errors.Is(stream.ErrBehind, stream.ErrNotFound) {
		t.Error("that is to be asked again")
	}
}
