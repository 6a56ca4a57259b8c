package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fatal is what fails a test, be it Go's or rapid's.
type fatal interface{ Fatalf(string, ...any) }

// exchange sends one request as bytes to a real listener and judges the answer: never a silence, never a fault of
// ours, never an error that is no problem document. It gives the status, 0 where the connection was closed with no
// answer.
func exchange(t fatal, addr, request string) int {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatalf("%v", err)
	}
	_, _ = io.WriteString(conn, request) // the server may have answered and left before all of it was sent
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	method, target, _ := strings.Cut(request, " ")
	status, body, err := finalAnswer(bufio.NewReader(conn), method)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("no end of an answer to %q within 20 s: %v", request, err)
	}
	if err != nil {
		return 0 // bytes that are no whole request need no answer
	}
	if status == http.StatusServiceUnavailable && strings.HasPrefix(target, "/doctor") && (method == http.MethodHead || strings.Contains(body, `"lines"`)) {
		return status // it says what is not right
	}
	if status >= 500 {
		t.Fatalf("%d for %q: %s", status, request, body)
	}
	if status < 400 || method == http.MethodHead {
		return status
	}
	var p problem
	if json.Unmarshal([]byte(body), &p) != nil || p.Code == "" || p.Status != status || p.RequestID == "" {
		t.Fatalf("%d for %q is no problem document: %s", status, request, body)
	}
	return status
}

// finalAnswer reads an answer to its end. Behind a 100 comes another.
func finalAnswer(r *bufio.Reader, method string) (status int, body string, err error) {
	for range 2 {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return 0, "", err
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode >= 200 {
			return res.StatusCode, string(b), err
		}
	}
	return 0, "", errors.New("two answers that are none")
}

// whole tells whether the bytes are one request of HTTP with all of its body, as the standard library reads it.
func whole(request string) bool {
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// paths are parts in any order, and every route of ours with any part in the place of each of its parameters. A
// stream of events has no end to wait for.
func paths(s *Server, parts *rapid.Generator[string]) *rapid.Generator[string] {
	var routes []string
	for _, r := range s.app.GetRoutes(true) {
		if !strings.HasSuffix(r.Path, "/events") {
			routes = append(routes, r.Path)
		}
	}
	ours := rapid.Custom(func(t *rapid.T) string {
		steps := strings.Split(rapid.SampledFrom(routes).Draw(t, "route"), "/")
		for i := range steps {
			if strings.HasPrefix(steps[i], ":") {
				steps[i] = parts.Draw(t, steps[i])
			}
		}
		return strings.Join(steps, "/")
	})
	anything := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(parts, 0, 4).Draw(t, "parts"), "/")
	})
	return rapid.OneOf(ours, anything)
}

func TestRandomRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known := w.failed()
	methods := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"})
	parts := rapid.SampledFrom([]string{
		"jobs", "batch", "stats", "schedule", "schedules", "requeue", "logs", known, "..", "%2e%2e", "%00", "%zz", "", "x", "docs", "healthz", "*", "queues", "default", "purge",
		"explain", "doctor", "audit", "webhooks", "replay",
	})
	path := paths(w.server, parts)
	params := rapid.SampledFrom([]string{
		"", "?", "?limit=1", "?limit=-1", "?limit=999999999999999999999", "?state=failed", "?state=%00", "?queue=default&type=probe", "?cursor=AAAA",
		"?run=1&attempt=1", "?run=99999999", "?x=" + strings.Repeat("y", 2000), "?%", "?=&&=", "?state=failed;drop", "?limit=0", "?cursor=1.x",
	})
	headers := rapid.SampledFrom([]string{
		"", "Content-Type: application/json\r\n", "Content-Type: text/plain\r\n", "Content-Type: ;;;\r\n", "Idempotency-Key: k\r\n", "Idempotency-Key: \x01\r\n",
		"X-Submitter: a b\r\n", "X-Request-ID: \xff\r\n", "If-None-Match: *\r\n", "Last-Event-ID: -1\r\n", "traceparent: 00-x\r\n", "Content-Encoding: gzip\r\n",
		"Authorization: Bearer\r\n", "Range: bytes=0-\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\n",
	})
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			body := bodies().Draw(t, "body")
			request := methods.Draw(t, "method") + " " + path.Draw(t, "path") + params.Draw(t, "params") + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
				strings.Join(rapid.SliceOfN(headers, 0, 4).Draw(t, "headers"), "")
			if body != "" {
				request += "Content-Length: " + jsonOf(len(body)) + "\r\n"
			}
			request += "\r\n" + body
			if exchange(t, w.server.Addr(), request) == 0 && whole(request) {
				t.Fatalf("no answer to %q", request)
			}
		}
	})
	w.get("/readyz").want(200)
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers and strings of the tests
	}
	return string(b)
}

// bodies are posts, schedules and batches with values that do not belong there, and bytes that are nothing.
func bodies() *rapid.Generator[string] {
	value := rapid.SampledFrom([]string{
		`null`, `true`, `0`, `-1`, `1e400`, `""`, `"default"`, `"probe"`, `"\u0000"`, `"\ud800"`, `"* * * * *"`, `[]`, `{}`, `["a"]`, `{"name":"x"}`,
		`"` + strings.Repeat("x", 300) + `"`, strings.Repeat("[", 700) + strings.Repeat("]", 700), `99999999999999999999`, `"$(reboot)"`,
	})
	key := rapid.SampledFrom([]string{
		"type", "queue", "payload", "tags", "delaySeconds", "timeoutSeconds", "cron", "syntax", "timeZone", "run", "__proto__", "", "Type",
	})
	object := rapid.Custom(func(t *rapid.T) string {
		var fields []string
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			fields = append(fields, jsonOf(key.Draw(t, "key"))+":"+value.Draw(t, "value"))
		}
		return "{" + strings.Join(fields, ",") + "}"
	})
	return rapid.OneOf(
		rapid.Just(""), object, value,
		rapid.Custom(func(t *rapid.T) string {
			return "[" + strings.Join(rapid.SliceOfN(object, 0, 5).Draw(t, "items"), ",") + "]"
		}),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")) }),
	)
}

// FuzzRequest sends any bytes at all.
func FuzzRequest(f *testing.F) {
	known := make(map[string]bool)
	for _, seed := range []string{
		"GET /jobs HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
		"POST /jobs/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[{}]\r\n0\r\n\r\n",
		"DELETE /schedules/x HTTP/1.0\r\n\r\n",
		"POST /queues/default/purge?limit=2&cursor=7.MS4wMTg5MGE1ZC1hYzk2LTc3NGItYmNjZS1iMzAyMDk5YTgwNTc HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /jobs/stats HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\", *\r\n\r\n",
		"POST /jobs/schedule HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + anySchedule,
	} {
		f.Add(seed)
		known[seed] = true
	}
	w := fuzzServer(f)
	f.Fuzz(func(t *testing.T, request string) {
		if strings.Contains(strings.ToLower(request), "/events") {
			return // a stream has no end to wait for
		}
		if exchange(t, w, request) == 0 && known[request] {
			t.Fatalf("no answer to %q", request)
		}
	})
}

// fuzzServer is a server whose ports all work and keep nothing: the bytes are what is tested.
func fuzzServer(f *testing.F) (addr string) {
	f.Helper()
	s, err := New(blankOptions())
	if err != nil {
		f.Fatal(err)
	}
	serve(f, s)
	<-s.ledger.loaded()
	return s.Addr()
}
