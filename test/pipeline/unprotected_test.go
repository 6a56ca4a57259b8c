package pipeline

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
)

// unprotected gives a data folder whose stream of events lets itself be altered.
func unprotected(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	srv, err := natslocal.Start(natslocal.Options{Addr: "127.0.0.1:0", Dir: filepath.Join(dir, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Stop()
	nc, err := nats.Connect(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: contract.StreamEvents, Subjects: []string{contract.EventSubjects}, MaxAge: stream.DefaultSettings().EventsMaxAge,
		MaxMsgSize: contract.MaxEventBytes, AllowDirect: true, Duplicates: 5 * time.Minute,
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: contract.EventSubjects, Destination: contract.EventStored},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
