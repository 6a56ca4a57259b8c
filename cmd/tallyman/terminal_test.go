package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// nasty is a text that clears the screen, sets its title, and writes over its own beginning.
const nasty = "disk\x1b]0;owned\a\x1b[2J full\rok\u009b1m\x7f"

func TestWhatATerminalObeysIsShownByNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     "",
		"grün\tund\n日本 \ufffd": "grün\tund\n日本 \ufffd",
		nasty:                  `disk\u001b]0;owned\u0007\u001b[2J full\u000dok\u009b1m\u007f`,
		"a\x9b2J":              `a\x9b2J`,
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := firstLine("a\tb\x1b[2J\nc"); got != `a b\u001b[2J…` {
		t.Errorf("%q", got)
	}
}

// Output goes as it is to whoever keeps it, and never as it is to a terminal.
func TestOutputIsHarmlessOnATerminal(t *testing.T) {
	t.Parallel()
	for _, watched := range []bool{false, true} {
		var b bytes.Buffer
		if err := writeOutput(guarded{&b}, []byte("one\r\n\x1b[2Jtwo"), watched); err != nil {
			t.Fatal(err)
		}
		want := "one\r\n\x1b[2Jtwo"
		if watched {
			want = "one\n" + `\u001b[2Jtwo`
		}
		if b.String() != want {
			t.Errorf("watched %v: %q, want %q", watched, b.String(), want)
		}
	}
}

// Whatever a command prints of a job's text, no control character of it comes through; and JSON says the same.
func TestNoCommandLetsAJobsTextCommandTheTerminal(t *testing.T) {
	t.Parallel()
	const id = "01a1ff4d-6889-73f0-a332-cb468c3a35f7"
	said, err := json.Marshal(nasty)
	if err != nil {
		t.Fatal(err)
	}
	attempts := `"attempts":[{"run":1,"attempt":1,"ending":"failed","message":` + string(said) + `,"tail":` + string(said) + `}]`
	one := `{"jobId":"` + id + `","state":"failed","run":1,"submitter":` + string(said) + `,"message":` + string(said) + `,"result":` + string(said) + `,` + attempts + `}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := one
		switch r.URL.Path {
		case "/jobs":
			body = `{"jobs":[` + one + `]}`
		case "/jobs/" + id + "/explain":
			body = `{"sentence":` + string(said) + `,"next":[` + string(said) + `],"evidence":[{"source":"unit","says":` + string(said) + `}],` + attempts + `}`
		case "/jobs/stats":
			w.WriteHeader(http.StatusServiceUnavailable)
			body = `{"status":503,"code":"unavailable","title":` + string(said) + `,"detail":` + string(said) + `}`
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	for _, args := range [][]string{{"list"}, {"get", id}, {"explain", id}, {"stats"}, {"list", "-o", "json"}, {"get", id, "-o", "json"}} {
		var b bytes.Buffer
		run(t.Context(), append(args, "--server", srv.URL), strings.NewReader(""), &b, &b)
		if got := b.String(); strings.ContainsFunc(got, func(r rune) bool {
			return r != '\n' && strings.ContainsRune(nasty, r) && harmless(string(r)) != string(r)
		}) || !strings.Contains(got, `\u001b`) {
			t.Errorf("%q: %q", args, got)
		}
		var v any
		if args[len(args)-1] == "json" && json.Unmarshal(b.Bytes(), &v) != nil {
			t.Errorf("%q: no JSON: %q", args, b.String())
		}
	}
}
