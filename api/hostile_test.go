package api

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// A number costs what its digits cost, written out, and the library that holds schemas has no limit of its own: beyond
// a million of them it panics, and one post of a batch must not end the program.
func TestNumbersBeyondMeasure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for number, want := range map[string]int{
		"1e1000001": 400, "1e-1000001": 400, "1e1000000": 400, "1E+401": 400, "1e99999999999999999999": 400,
		strings.Repeat("9", maxDigits+1): 400, "1e308": 202, "1.5e2": 202, "1.5": 400, "44": 202, "1e0": 202, strings.Repeat("9", maxDigits): 202,
	} {
		post := `{"type":"person","payload":{"name":"n","age":` + number + `}}`
		a := w.do("POST", "/jobs", post).want(want)
		if p := a.problem(); want == 400 && p.Field != "payload.age" {
			t.Errorf("%.20s: field %q", number, p.Field)
		}
		var r batchResult
		w.do("POST", "/jobs/batch", `[`+post+`,{"type":"probe"}]`).want(200).into(&r)
		if r.Results[0].Status != want || r.Results[1].Status != 202 {
			t.Errorf("%.20s: %d and %d", number, r.Results[0].Status, r.Results[1].Status)
		}
	}
	w.do("POST", "/jobs", `{"type":"person","payload":{"name":"n","more":[{"deep":[1,1e500]}]}}`).want(400)
}

// What is wrong is told up to a limit, however often it is wrong.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	twice := "{" + strings.Repeat(`"a":1,`, 10_000) + `"a":1}`
	if a := w.do("POST", "/jobs", twice).want(400); len(a.problem().Errors) != maxFaults || len(a.body) > 64<<10 {
		t.Errorf("%d errors in %d bytes", len(a.problem().Errors), len(a.body))
	}
	if a := w.get("/jobs?" + strings.Repeat("a&", 5_000)).want(400); len(a.body) > 64<<10 {
		t.Errorf("%d bytes", len(a.body))
	}
	var r batchResult
	a := w.do("POST", "/jobs/batch", "["+strings.TrimSuffix(strings.Repeat(twice+",", 50), ",")+"]").want(200)
	if a.into(&r); len(r.Results[0].Error.Errors) != maxBatchFaults || len(a.body) > 512<<10 {
		t.Errorf("%d errors in %d bytes", len(r.Results[0].Error.Errors), len(a.body))
	}
}

// Who takes no answers is cut off, whatever it says that it accepts.
func TestNobodyHoldsAConnectionByNotReading(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	w.server.app.Server().WriteTimeout = 100 * time.Millisecond
	w.run(newBookkeeper(w.stream, w.bucket(contract.BucketJobs)).run)
	conn, err := net.Dial("tcp", w.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	request := []byte("GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
	for range 1 << 20 {
		if _, err = conn.Write(request); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it was served for ever: %v", err)
	}
}
