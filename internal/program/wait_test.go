package program

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/stream"
)

// free gives an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// begin runs a program that needs one bucket, and gives the address of its admin page.
func begin(t *testing.T, args ...string) (admin string) {
	t.Helper()
	admin = free(t)
	p := New("tested")
	if err := p.read(append(args, "--admin", admin, "--allow-fewer-replicas", "--replicas", "1"), io.Discard); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- p.run(ctx, func(ctx context.Context, p *Program) error {
			_, err := p.Buckets(ctx, contract.BucketJobs)
			return err
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	return admin
}

// until asks a page until its answer holds what is wanted.
func until(t *testing.T, url string, code int, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if last = string(b); resp.StatusCode == code && strings.Contains(last, want) {
				return
			}
		}
		select {
		case <-deadline:
			t.Fatalf("%s never answered %d with %q; the last answer: %s", url, code, want, last)
		case <-tick.C:
		}
	}
}

func serve(t *testing.T, addr string) *stream.Stream {
	t.Helper()
	srv, err := natslocal.Start(natslocal.Options{Addr: addr, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	s, err := stream.Connect(t.Context(), stream.Options{URL: srv.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestWaitsForNATSAndComesGood(t *testing.T) {
	t.Parallel()
	addr := free(t)
	admin := begin(t, "--nats-url", "nats://"+addr)
	until(t, "http://"+admin+"/healthz", http.StatusOK, "ok")
	until(t, "http://"+admin+"/readyz", http.StatusServiceUnavailable, "nats: connect to NATS at nats://"+addr)
	serve(t, addr)
	until(t, "http://"+admin+"/readyz", http.StatusOK, "ok")
}

func TestWaitsForAnotherToMakeTheStreams(t *testing.T) {
	t.Parallel()
	addr := free(t)
	s := serve(t, addr)
	admin := begin(t, "--nats-url", "nats://"+addr, "--make-streams=false")
	until(t, "http://"+admin+"/readyz", http.StatusServiceUnavailable, "stream EVENTS is missing")
	if err := s.Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	until(t, "http://"+admin+"/readyz", http.StatusOK, "ok")
}

func TestWaitsForItsCredentialsToBeMended(t *testing.T) {
	t.Parallel()
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{{Username: "clerk", Password: "right"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not take connections")
	}
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("clerk:wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	admin := begin(t, "--nats-url", ns.ClientURL(), "--nats-credentials", file)
	until(t, "http://"+admin+"/readyz", http.StatusServiceUnavailable, "Authorization Violation")
	if err := os.WriteFile(file, []byte("clerk:right"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "http://"+admin+"/readyz", http.StatusOK, "ok")
}
