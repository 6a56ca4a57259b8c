package natslocal

import (
	"context"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// fillDisk lets no file of this process grow over a size, as on a full disk. It gives what takes that back.
func fillDisk(t *testing.T, size uint64) (mend func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: cur, Max: was.Max}); err != nil {
			t.Error(err)
		}
	}
	set(size)
	t.Cleanup(func() { set(was.Cur) })
	return func() { set(was.Cur) }
}

// After a full disk the server stores again, what it acknowledged before is there, and meanwhile it says what
// is wrong.
func TestStoresAgainWhenThereIsRoomAgain(t *testing.T) {
	s, err := Start(Options{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() { _ = s.Run(ctx) }()
	nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	mend := fillDisk(t, 256<<10)
	var acknowledged uint64
	for {
		ack, err := publish(ctx, js)
		if err != nil {
			break
		}
		acknowledged = ack.Sequence
	}
	if err := s.Ready(ctx); err == nil {
		t.Error("nothing can be stored, and it says that all is well")
	}
	mend()
	for {
		ack, err := publish(ctx, js)
		if err == nil && ack.Sequence <= acknowledged {
			t.Errorf("message %d was acknowledged, and the next one is %d", acknowledged, ack.Sequence)
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if err := s.Ready(ctx); err != nil {
		t.Error(err)
	}
}

func publish(ctx context.Context, js jetstream.JetStream) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return js.Publish(ctx, "s", make([]byte, 32<<10), jetstream.WithRetryAttempts(0))
}
