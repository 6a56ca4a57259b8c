package program_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"tallyman/contract"
	"tallyman/internal/program"
)

const patience = 30 * time.Second

// lines is a log that a test can read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// free gives an address of the loopback that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// running is a program that waits for NATS.
type running struct {
	t     *testing.T
	admin string
	log   *lines
	code  chan int
}

// begin runs a program with one part, which ends it as soon as end is closed.
func begin(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, admin: free(t), log: new(lines), code: make(chan int, 1)}
	end, p := make(chan struct{}), program.New("bridge")
	p.LookEvery(50 * time.Millisecond)
	args = append(args, "--admin", r.admin, "--replicas", "1", "--allow-fewer-replicas")
	go func() {
		r.code <- p.Main(args, r.log, func(_ context.Context, p *program.Program) error {
			p.Add("part", func(context.Context) error { <-end; return errors.New("the test is over") },
				func(context.Context) error { return nil })
			return nil
		})
	}()
	t.Cleanup(func() {
		close(end)
		select {
		case <-r.code:
		case <-time.After(patience):
			t.Errorf("the program did not end: %s", r.log.b.String())
		}
	})
	return r
}

// says waits until /readyz answers with a code and a text.
func (r *running) says(code int, text string) {
	r.t.Helper()
	tick, late, last := time.NewTicker(20*time.Millisecond), time.After(patience), ""
	defer tick.Stop()
	for {
		got, body := r.ask()
		if got == code && strings.Contains(body, text) {
			if n := strings.Count(body, "\n"); n != 1 {
				r.t.Errorf("%d lines: %s", n, body)
			}
			return
		}
		last = body
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatalf("after %s /readyz says %q, want %d %q", patience, last, code, text)
		}
	}
}

func (r *running) ask() (int, string) {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.admin+"/readyz", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error() // it does not listen yet
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// once asserts that a fault was named, in one line, and not again.
func (r *running) once(text string) {
	r.t.Helper()
	if found := r.log.with("not ready"); len(found) != 1 || !strings.Contains(found[0], text) {
		r.t.Errorf("%d lines, want one that names %q: %v", len(found), text, found)
	}
}

// serve starts a NATS server.
func serve(t *testing.T, addr string, o *server.Options) *server.Server {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.NoSigs, o.NoLog, o.JetStream, o.StoreDir = host, true, true, true, t.TempDir()
	if o.Port, err = net.LookupPort("tcp", port); err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server takes no connections")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// administrator is somebody who may change everything, until the test ends.
func administrator(t *testing.T, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestWaitsForNATS(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // somebody else, who hangs up
	if err != nil {
		t.Fatal(err)
	}
	tries := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			tries <- struct{}{}
		}
	}()
	addr := l.Addr().String()
	r := begin(t, "--nats-url", "nats://someone:secret@"+addr)
	for range 3 {
		select {
		case <-tries:
		case <-time.After(patience):
			t.Fatal("it did not try again")
		}
	}
	r.says(http.StatusServiceUnavailable, "start: connect to NATS at nats://someone:xxxxx@"+addr)
	r.once("connect to NATS")
	if found := r.log.with("secret"); found != nil {
		t.Errorf("the password is in the log: %v", found)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, addr, &server.Options{Username: "someone", Password: "secret"})
	r.says(http.StatusOK, "ok")
}

func TestWaitsForCredentials(t *testing.T) {
	t.Parallel()
	seed := func() (public string, seed []byte) {
		k, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		if public, err = k.PublicKey(); err != nil {
			t.Fatal(err)
		}
		if seed, err = k.Seed(); err != nil {
			t.Fatal(err)
		}
		return public, seed
	}
	public, right := seed()
	_, wrong := seed()
	path := filepath.Join(t.TempDir(), "nats.nk")
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(wrong)
	s := serve(t, free(t), &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}})
	r := begin(t, "--nats-url", s.ClientURL(), "--nats-credentials", path)
	r.says(http.StatusServiceUnavailable, "nats: Authorization Violation")
	write(right)
	r.says(http.StatusOK, "ok")
	r.once("Authorization Violation")
}

func TestWaitsForABucketToBeMended(t *testing.T) {
	t.Parallel()
	s := serve(t, free(t), &server.Options{})
	js := administrator(t, s)
	claims := jetstream.StreamConfig{
		Name: contract.BucketStream(contract.BucketClaims), Subjects: []string{contract.BucketSubject(contract.BucketClaims, ">")},
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DenyDelete: true, AllowDirect: true,
		MaxAge: 31 * 24 * time.Hour, Duplicates: time.Second,
	}
	if _, err := js.CreateStream(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	r := begin(t, "--nats-url", s.ClientURL())
	r.says(http.StatusServiceUnavailable, "stream KV_claims: allow direct is true, needed is false: change it with `nats stream edit KV_claims`")
	claims.AllowDirect = false
	if _, err := js.UpdateStream(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	r.says(http.StatusOK, "ok")
	r.once("allow direct")
}

func TestWaitsForAnotherToMakeTheStreams(t *testing.T) {
	t.Parallel()
	s := serve(t, free(t), &server.Options{})
	waits := begin(t, "--nats-url", s.ClientURL(), "--make-streams=false")
	waits.says(http.StatusServiceUnavailable, "stream EVENTS is missing, and another component is to make it")
	makes := begin(t, "--nats-url", s.ClientURL())
	makes.says(http.StatusOK, "ok")
	waits.says(http.StatusOK, "ok")
	waits.once("stream EVENTS is missing")
}

func TestWaitsForAMissingRight(t *testing.T) {
	t.Parallel()
	const denied = "$JS.API.STREAM.INFO.EVENTS"
	users := func(deny ...string) []*server.User {
		return []*server.User{{
			Username: "bridge", Password: "b", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: deny}},
		}}
	}
	addr := free(t)
	o := &server.Options{Users: users(denied)}
	s := serve(t, addr, o)
	r := begin(t, "--nats-url", "nats://bridge:b@"+addr)
	r.says(http.StatusServiceUnavailable, denied)
	mended := o.Clone()
	mended.Users = users()
	if err := s.ReloadOptions(mended); err != nil {
		t.Fatal(err)
	}
	r.says(http.StatusOK, "ok")
	r.once(denied)
}

// A user of the server's own, in a line user:password, whose answers come back on subjects of its own.
func TestWaitsForItsPassword(t *testing.T) {
	t.Parallel()
	may := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"$JS.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_clerk.>"}},
	}
	s := serve(t, free(t), &server.Options{Users: []*server.User{{Username: "clerk", Password: "right", Permissions: may}}})
	path := filepath.Join(t.TempDir(), "nats.credentials")
	write := func(line string) {
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("clerk:wrong")
	r := begin(t, "--nats-url", s.ClientURL(), "--nats-credentials", path, "--nats-inbox", "_INBOX_clerk")
	r.says(http.StatusServiceUnavailable, "Authorization Violation")
	write("clerk:right")
	r.says(http.StatusOK, "ok")
}

func TestASettingThatIsChangedLaterIsNamed(t *testing.T) {
	t.Parallel()
	s := serve(t, free(t), &server.Options{})
	r := begin(t, "--nats-url", s.ClientURL())
	r.says(http.StatusOK, "ok")
	js := administrator(t, s)
	claims, err := js.Stream(t.Context(), contract.BucketStream(contract.BucketClaims))
	if err != nil {
		t.Fatal(err)
	}
	direct := func(allowed bool) {
		set := claims.CachedInfo().Config
		set.AllowDirect = allowed
		if _, err := js.UpdateStream(t.Context(), set); err != nil {
			t.Fatal(err)
		}
	}
	direct(true)
	r.says(http.StatusServiceUnavailable, "streams: stream KV_claims: allow direct is true, needed is false: change it with `nats stream edit KV_claims`")
	direct(false)
	r.says(http.StatusOK, "ok")
	r.once("allow direct")
}

// While NATS is away that alone is told, and not that every stream is missing.
func TestNATSThatGoesAwayIsToldAsThat(t *testing.T) {
	t.Parallel()
	o := &server.Options{}
	s := serve(t, free(t), o)
	r := begin(t, "--nats-url", s.ClientURL())
	r.says(http.StatusOK, "ok")
	s.Shutdown()
	s.WaitForShutdown()
	r.says(http.StatusServiceUnavailable, "nats: NATS does not answer, or cannot store")
	again, err := server.NewServer(o) // with the same store
	if err != nil {
		t.Fatal(err)
	}
	again.Start()
	t.Cleanup(func() {
		again.Shutdown()
		again.WaitForShutdown()
	})
	r.says(http.StatusOK, "ok")
	if found := r.log.with("not ready"); found != nil {
		t.Errorf("it calls wrong what was only away: %v", found)
	}
}
