package stream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

const revisions = 10

func put(t *testing.T, s *stream.Stream, revisions int) *stream.Bucket {
	t.Helper()
	b := bucket(t, s, contract.BucketJobs)
	for n := range revisions {
		if _, err := b.Put(t.Context(), fmt.Sprintf("job.%d", n), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// watched is a watch of a bucket that has seen all that is there.
func watched(t *testing.T, s *stream.Stream) (ended <-chan error) {
	t.Helper()
	b := put(t, s, revisions)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done, loaded := make(chan error, 1), make(chan struct{})
	go func() {
		done <- b.Watch(ctx, ">", func(stream.Entry) error { return nil }, func() error { close(loaded); return nil })
	}()
	<-loaded
	return done
}

// endsAnew waits for as long as a server's silence, a pause between two tries and a busy machine take together.
func endsAnew(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, stream.ErrAnew) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(90 * time.Second):
		t.Error("nobody noticed")
	}
}

// A bucket that was made anew begins at revision 1 again: whoever went on behind the last one that he saw would hear
// nothing until there are as many, and then miss all of those.
func TestWatchEndsWithItsBucket(t *testing.T) {
	t.Parallel()
	srv := testenv.NATSServer(t)
	s := testenv.Dial(t, srv)
	testenv.MakeStreams(t, s)
	ended := watched(t, s)
	onJetStream(t, srv.URL(), func(js jetstream.JetStream) {
		if err := js.DeleteKeyValue(t.Context(), contract.BucketJobs); err != nil {
			t.Fatal(err)
		}
	})
	testenv.MakeStreams(t, s)
	put(t, s, 1)
	endsAnew(t, ended)
}

// serve begins or continues a NATS of the test's own.
func serve(t *testing.T, addr, dir string) *natslocal.Server {
	t.Helper()
	srv, err := natslocal.Start(natslocal.Options{Addr: addr, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	return srv
}

// A server that comes back with the files of an hour ago has the same bucket, and others will write under the revisions
// that were seen. One that comes back with another's files has another bucket, however far that has come.
func TestWatchEndsWhereItsBucketWasSetBack(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]func(t *testing.T, now, then string){
		"set back": func(t *testing.T, now, then string) {
			if err := os.CopyFS(then, os.DirFS(now)); err != nil {
				t.Fatal(err)
			}
		},
		"another": func(t *testing.T, _, then string) {
			srv := serve(t, "127.0.0.1:0", then)
			defer srv.Stop()
			s := testenv.Dial(t, srv)
			testenv.MakeStreams(t, s)
			put(t, s, 2*revisions)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, then := t.TempDir(), t.TempDir()
			srv := serve(t, "127.0.0.1:0", now)
			addr := strings.TrimPrefix(srv.URL(), "nats://")
			testenv.MakeStreams(t, testenv.Dial(t, srv))
			srv.Stop()
			other(t, now, then)
			srv = serve(t, addr, now)
			ended := watched(t, testenv.Dial(t, srv))
			srv.Stop()
			serve(t, addr, then)
			endsAnew(t, ended)
		})
	}
}
