package chart

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	corev1 "k8s.io/api/core/v1"
)

// natsServer is a real server with the configuration that the chart renders.
type natsServer struct {
	*server.Server
	secrets []*corev1.Secret
	log     *violations
}

// violations keeps what the server says of clients that did what they may not.
type violations struct {
	mu   sync.Mutex
	said []string
}

func (v *violations) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said = append(v.said, fmt.Sprintf(format, args...))
}
func (v *violations) Noticef(string, ...any)            {}
func (v *violations) Warnf(format string, args ...any)  {}
func (v *violations) Fatalf(format string, args ...any) { v.Errorf(format, args...) }
func (v *violations) Debugf(string, ...any)             {}
func (v *violations) Tracef(string, ...any)             {}

func (v *violations) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.said)
}

// startNATS starts a server with the rendered configuration; only its port and its folder are the test's own.
func startNATS(t *testing.T, objects []*object) *natsServer {
	t.Helper()
	s := &natsServer{secrets: all[*corev1.Secret](objects), log: &violations{}}
	opts, err := server.ProcessConfigFile(s.write(t, release+"-tallyman-nats", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	opts.Host, opts.Port, opts.HTTPPort, opts.StoreDir = "127.0.0.1", -1, 0, t.TempDir()
	opts.NoSigs = true
	if s.Server, err = server.NewServer(opts); err != nil {
		t.Fatal(err)
	}
	s.SetLoggerV2(s.log, false, false, false)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not take connections")
	}
	return s
}

// write puts a Secret's value into a file, as a pod's volume does.
func (s *natsServer) write(t *testing.T, secret, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), secret+"."+key) // a new one each time: another program may be reading
	for _, o := range s.secrets {
		if o.Name == secret {
			if err := os.WriteFile(path, o.Data[key], 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Fatalf("there is no Secret %s", secret)
	return ""
}

// credentials gives the file that a user's pods mount.
func (s *natsServer) credentials(t *testing.T, user string) string {
	t.Helper()
	if queue, ok := strings.CutPrefix(user, "processor-"); ok {
		return s.write(t, release+"-tallyman-queue-"+queue+"-nats", "credentials")
	}
	return s.write(t, release+"-tallyman-nats-"+user, "credentials")
}

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

// until tries again until fn has nothing to complain of.
func until(t *testing.T, limit time.Duration, fn func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", limit, err)
		case <-tick.C:
		}
	}
}

// answers is nil once a page answers 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			var b [512]byte
			n, _ := resp.Body.Read(b[:])
			return fmt.Errorf("%s: %d %s", url, resp.StatusCode, b[:n])
		}
		return nil
	}
}
