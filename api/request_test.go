package api

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"tallyman/contract"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	w := alone(t)
	for given, echoed := range map[string]bool{"abc-1": true, strings.Repeat("x", 128): true, "": false, "a b": false, strings.Repeat("x", 129): false} {
		a := w.get("/nope", header{"X-Request-ID", given})
		got := a.header.Get("X-Request-ID")
		if (got == given) != echoed || got == "" || a.problem().RequestID != got {
			t.Errorf("%q: %q, %s", given, got, a.body)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	w := alone(t, func(o *Options) { o.TokenFile = tokenFile(t, "s3cret") })
	for value, status := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer s3cre": 401, "Bearer s3cret2": 401, "Basic s3cret": 401, "s3cret": 401,
		"Bearer s3cret": 400, "bearer s3cret": 400,
	} {
		a := w.get("/jobs?x", header{"Authorization", value})
		if a.status != status || (status == 401) != (a.header.Get("WWW-Authenticate") == "Bearer") {
			t.Errorf("%q: %d", value, a.status)
		}
	}
	for _, path := range []string{"/healthz", "/openapi.yaml", "/docs"} {
		w.get(path).want(200)
	}
}

// syncBuffer is a log that is written by many.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSpace(s.b.String()), "\n")
}

func TestOneLogLineForEachRequest(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	w := newWorld(t, func(o *Options) {
		o.Log, o.TokenFile = slog.New(slog.NewJSONHandler(&log, nil)), tokenFile(t, "s3cret")
	})
	before := len(log.lines())
	token := header{"Authorization", "Bearer s3cret"}
	var r receipt
	w.do("POST", "/jobs", `{"payload":"hush"}`, token, header{"X-Request-ID", "r-1"}).want(202).into(&r)
	w.get("/jobs?state=hush", token).want(400)
	w.get("/jobs/"+r.JobID, token).want(200)
	lines := log.lines()[before:]
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for i, want := range []map[string]any{
		{"requestId": "r-1", "method": "POST", "route": "/jobs", "status": 202.0, "jobId": r.JobID},
		{"method": "GET", "route": "/jobs", "status": 400.0},
		{"method": "GET", "route": "/jobs/:jobId<guid>", "status": 200.0, "jobId": r.JobID},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("line %d: %s is %v, want %v", i, key, got[key], value)
			}
		}
		if _, ok := got["ms"].(float64); !ok {
			t.Errorf("line %d: no time in %s", i, lines[i])
		}
	}
	if all := strings.Join(log.lines(), "\n"); strings.Contains(all, "hush") || strings.Contains(all, "s3cret") {
		t.Errorf("a payload, a query or a token is in the log:\n%s", all)
	}
}

// A fault of ours is a 500 that says nothing, and a log line that says all.
func TestPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	w := alone(t, func(o *Options) {
		o.Log, o.Cron = slog.New(slog.NewJSONHandler(&log, nil)), brokenCron(func() { panic("a bug") })
	})
	res := w.raw("POST /jobs/schedule HTTP/1.1\r\nHost: localhost\r\nContent-Length: 21\r\n\r\n" + anySchedule + " ")
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || res.StatusCode != 500 || p.Code != contract.CodeInternal || strings.Contains(string(body), "bug") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if all := strings.Join(log.lines(), "\n"); !strings.Contains(all, "a bug") || !strings.Contains(all, p.RequestID) {
		t.Errorf("log:\n%s", all)
	}
}
