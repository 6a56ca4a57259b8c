package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Who interrupts a question has no answer, and the exit code says so; only what goes on until it is stopped has then
// done all that it was asked for.
func TestOnlyWhatGoesOnMayBeStopped(t *testing.T) {
	t.Parallel()
	const job = "01a1ff4d-6889-73f0-a332-cb468c3a35f7"
	for args, code := range map[string]int{
		"submit": exitInterrupted, "submit --wait": exitInterrupted, "produce": exitInterrupted, "verify": exitInterrupted,
		"verify --wait 1h": exitInterrupted, "doctor": exitInterrupted, "doctor --wait 1h": exitInterrupted,
		"list": exitInterrupted, "stats": exitInterrupted, "purge media --yes": exitInterrupted, "events " + job: exitInterrupted,
		"watch": 0, "stats -f": 0, "events -f": 0, "events -f " + job: 0,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		// It answers nobody: whoever asks it is interrupted while they wait.
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			cancel()
			<-req.Context().Done()
		}))
		var out, diag bytes.Buffer
		got := run(ctx, append(strings.Fields(args), "--server", server.URL), strings.NewReader(""), &out, &diag)
		said := strings.HasPrefix(diag.String(), "tallyman: interrupted: ") && strings.Count(diag.String(), "\n") == 1
		if got != code || said != (code != 0) || out.Len() > 0 {
			t.Errorf("%s: code %d, %q, %q", args, got, out.String(), diag.String())
		}
		server.Close()
		cancel()
	}
}

// So is one that is between two questions, since what it asks about is not right yet.
func TestAWaitMayBeInterrupted(t *testing.T) {
	t.Parallel()
	for args, answer := range map[string]string{"verify --wait 1h": `{"pending":1}`, "doctor --wait 1h": `{"lines":[{"name":"nats"}]}`} {
		ctx, cancel := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(answer))
			cancel()
		}))
		var out, diag bytes.Buffer
		if got := run(ctx, append(strings.Fields(args), "--server", server.URL), nil, &out, &diag); got != exitInterrupted {
			t.Errorf("%s: code %d, %q, %q", args, got, out.String(), diag.String())
		}
		server.Close()
		cancel()
	}
}
