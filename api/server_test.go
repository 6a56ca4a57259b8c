package api

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman/contract"
)

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	w := alone(t)
	for _, c := range []struct {
		method, path string
		status       int
		code         contract.Code
		allow        string
	}{
		{"GET", "/nope", 404, contract.CodeNotFound, ""},
		{"GET", "/jobs/nope", 404, contract.CodeNotFound, ""},
		{"GET", "/JOBS", 404, contract.CodeNotFound, ""},
		{"PUT", "/jobs", 405, contract.CodeNotAllowed, "GET, HEAD, POST"},
		{"DELETE", "/jobs/stats", 405, contract.CodeNotAllowed, "GET, HEAD"},
		{"PATCH", "/jobs/" + noJob, 405, contract.CodeNotAllowed, "GET, HEAD, DELETE"},
		{"OPTIONS", "/jobs/stats", 405, contract.CodeNotAllowed, "GET, HEAD"},
		{"GET", "/jobs/schedule", 405, contract.CodeNotAllowed, "POST"},
		{"POST", "/schedules", 405, contract.CodeNotAllowed, "GET, HEAD"},
	} {
		a := w.do(c.method, c.path, "").want(c.status)
		if p := a.problem(); p.Code != c.code || p.Status != c.status || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
		if got := a.header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, got, c.allow)
		}
	}
}

// raw sends bytes as they are, and reads one answer.
func (w *world) raw(bytes string) *http.Response {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, bytes); err != nil {
		w.t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatalf("%.60q: %v", bytes, err)
	}
	return res
}

// What is not HTTP as it should be is answered as a problem too.
func TestBrokenHTTP(t *testing.T) {
	t.Parallel()
	s, err := New(blankOptions())
	if err != nil {
		t.Fatal(err)
	}
	s.app.Server().ReadTimeout = 200 * time.Millisecond
	serve(t, s)
	w := &world{t: t, server: s}
	for bytes, status := range map[string]int{
		"nonsense\r\n\r\n": 400,
		"GET /jobs HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", maxHeaders) + "\r\n\r\n":             431,
		"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{":      408,
		"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n": 413,
	} {
		res := w.raw(bytes)
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		var p problem
		if err := json.Unmarshal(body, &p); err != nil || p.Status != status || res.StatusCode != status || p.RequestID == "" {
			t.Errorf("%.60q: %d %s", bytes, res.StatusCode, body)
		}
	}
}

// broken is a cron that does as a test wants.
type brokenCron func()

func (b brokenCron) Next(string, string, time.Time) (time.Time, error) {
	b()
	return time.Now(), nil
}

const anySchedule = `{"cron":"* * * * *"}`

func TestNewSaysWhatToDo(t *testing.T) {
	t.Parallel()
	taken := alone(t)
	valid := func() Options {
		a := away{}
		return Options{
			Addr: "127.0.0.1:0", Config: testConfig("u"), Jobs: a, Schedules: a, Ticks: a, Output: a, Webhooks: a, Events: a, Signals: a,
			Dispatch: a, Cron: minutely{}, Past: blank{}, Claims: a, Counter: a, Remarks: a, Auditor: a, Reports: a,
		}
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"port":        {func(o *Options) { o.Addr = taken.server.Addr() }, "address already in use"},
		"no token":    {func(o *Options) { o.TokenFile = "/no/such/file" }, "TokenFile"},
		"empty token": {func(o *Options) { o.TokenFile = empty }, "TokenFile"},
		"schema":      {func(o *Options) { o.Config.Queues[0].Types[3].Schema = json.RawMessage(`{"type":7}`) }, "type person"},
		"remote schema": {func(o *Options) {
			o.Config.Queues[0].Types[3].Schema = json.RawMessage(`{"$ref":"file:///etc/passwd"}`)
		}, "type person"},
		"index": {func(o *Options) { o.IndexPath = "/no/such/folder/x.db" }, "index"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := valid()
			c.change(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A request that is under way when the end comes is finished.
func TestRunFinishesRequests(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() {
		close(entered)
		<-leave
	})
	w := newWorld(t, func(o *Options) { o.Cron = brokenCron(once) })
	answers := make(chan answer, 1)
	go func() { answers <- w.do("POST", "/jobs/schedule", anySchedule) }()
	<-entered
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	w.eventually("the door is closed", func() bool {
		conn, err := net.Dial("tcp", w.server.Addr())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(leave)
	if a := <-answers; a.status != 201 {
		t.Errorf("%d %s", a.status, a.body)
	}
	<-stopped
}
