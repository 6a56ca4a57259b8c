package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// More than two pulls ask for, and more than one may weigh: each ends, and is followed by another.
func TestReadsOnOverManyPulls(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct{ batches, each, bytes int }{
		"many":  {25, 999, 1},
		"heavy": {2, 20, 900_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bucket(t, testenv.NATS(t), contract.BucketJobs)
			revision := uint64(0)
			for n := range is.batches {
				changes := make([]stream.Change, is.each)
				for i := range changes {
					changes[i] = stream.Change{Key: fmt.Sprintf("job.%d-%d", n, i), Value: make([]byte, is.bytes)}
				}
				var err error
				if revision, err = b.Commit(t.Context(), changes, stream.Fence{Key: "ckpt", Revision: revision}); err != nil {
					t.Fatal(err)
				}
			}
			seen := 0
			err := b.Each(t.Context(), "job.*", func(e stream.Entry) error {
				if want := fmt.Sprintf("job.%d-%d", seen/is.each, seen%is.each); e.Key != want || len(e.Value) != is.bytes {
					return fmt.Errorf("%s with %d bytes, want %s", e.Key, len(e.Value), want)
				}
				seen++
				return nil
			})
			if err != nil || seen != is.batches*is.each {
				t.Errorf("%d entries, %v", seen, err)
			}
		})
	}
}

// Somebody deletes the consumer while it is read.
func TestReadsOnWithAnotherConsumer(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	s := testenv.Dial(t, srv)
	if err := s.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, done := make(chan uint64, 10), make(chan error, 1)
	go func() { done <- s.Follow(ctx, 0, func(st stream.Stored) error { seen <- st.Seq; return nil }) }()
	for n := range 3 {
		if _, err := s.Publish(t.Context(), event(t, n)); err != nil {
			t.Fatal(err)
		}
		if seq := <-seen; seq != uint64(n+1) {
			t.Fatalf("saw %d after %d", seq, n)
		}
		onStream(t, srv.URL(), contract.StreamEvents, func(s jetstream.Stream) { deleteConsumers(t, s) })
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// What was still to come when a consumer broke is gone by the time the next one stands: there is no more to wait for.
func TestReadingEndsWhereTheRestIsGone(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	on := testenv.Dial(t, srv)
	if err := on.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	b := bucket(t, on, contract.BucketJobs)
	revision := uint64(0)
	for n := range 20 { // more than two pulls take
		changes := make([]stream.Change, 999)
		for i := range changes {
			changes[i] = stream.Change{Key: fmt.Sprintf("job.%d-%d", n, i)}
		}
		var err error
		if revision, err = b.Commit(t.Context(), changes, stream.Fence{Key: "ckpt", Revision: revision}); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	err := b.Each(t.Context(), "job.*", func(stream.Entry) error {
		if seen++; seen == 1 {
			onStream(t, srv.URL(), contract.BucketStream(contract.BucketJobs), func(s jetstream.Stream) {
				deleteConsumers(t, s)
				if err := s.Purge(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		}
		return nil
	})
	if err != nil || seen == 0 || seen == 20*999 {
		t.Errorf("%d entries, %v", seen, err)
	}
}

func onStream(t *testing.T, url, name string, do func(jetstream.Stream)) {
	t.Helper()
	onJetStream(t, url, func(js jetstream.JetStream) {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		do(s)
	})
}

func onJetStream(t *testing.T, url string, do func(jetstream.JetStream)) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	do(js)
}

func deleteConsumers(t *testing.T, s jetstream.Stream) {
	t.Helper()
	for name := range s.ConsumerNames(t.Context()).Name() {
		if err := s.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// What looks like a word of the server's about a pull, but is a message of the stream.
func TestReadsWhatLooksLikeAStatus(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	s := testenv.Dial(t, srv)
	if err := s.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	e := event(t, 1)
	for _, status := range []string{"100", "408", "409"} {
		if _, err := nc.RequestMsg(&nats.Msg{Subject: e.Subject(), Header: nats.Header{"Status": {status}}}, nats.DefaultTimeout); err != nil {
			t.Fatal(err)
		}
	}
	var seen []uint64
	err = s.Follow(t.Context(), 0, func(st stream.Stored) error {
		seen = append(seen, st.Seq)
		if st.Fault == nil {
			t.Errorf("%d is an event: %+v", st.Seq, st.Event)
		}
		if st.Pending == 0 {
			return errors.New("enough")
		}
		return nil
	})
	if !slices.Equal(seen, []uint64{1, 2, 3}) {
		t.Errorf("saw %v, %v", seen, err)
	}
}
