package stream_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"tallyman/internal/stream"
)

// guarded starts a server with one user who has a password and one who has a key; both may only get their
// answers on subjects of their own.
func guarded(t *testing.T, public string) string {
	t.Helper()
	rights := func(inbox string) *server.Permissions {
		return &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{inbox + ".>"}}}
	}
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{{Username: "clerk", Password: "a:b", Permissions: rights("_INBOX_clerk")}},
		Nkeys: []*server.NkeyUser{{Nkey: public, Permissions: rights("_INBOX_key")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not take connections")
	}
	return ns.ClientURL()
}

func TestCredentialsOfEveryKind(t *testing.T) {
	t.Parallel()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := key.PublicKey()
	seed, _ := key.Seed()
	url := guarded(t, public)
	table := []struct {
		name, file, inbox, fault string
	}{
		{"a user and a password with a colon", "clerk:a:b\n", "_INBOX_clerk", ""},
		{"a seed", string(seed) + "\n", "_INBOX_key", ""},
		{"a wrong password", "clerk:c", "_INBOX_clerk", "Authorization Violation"},
		{"answers where another's are", "clerk:a:b", "_INBOX_key", "deadline exceeded"},
		{"neither", "something else", "", "neither a .creds file nor an nkey seed nor a line user:password"},
		{"no password", "clerk:", "", "neither a .creds file"},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "credentials")
			if err := os.WriteFile(path, []byte(row.file), 0o600); err != nil {
				t.Fatal(err)
			}
			err := ask(t.Context(), stream.Options{URL: url, Credentials: path, Inbox: row.inbox})
			if row.fault == "" && err != nil || row.fault != "" && (err == nil || !strings.Contains(err.Error(), row.fault)) {
				t.Errorf("%v, want %q", err, row.fault)
			}
		})
	}
}

// ask sends one request that the server answers: there is no stream of events.
func ask(ctx context.Context, o stream.Options) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := stream.Connect(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Info(ctx); err != nil && !strings.Contains(err.Error(), "stream not found") {
		return err
	}
	return nil
}
