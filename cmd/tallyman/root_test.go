package main

import (
	"bytes"
	"strings"
	"testing"
)

// What the environment says is held to the same words as what the command line says.
func TestTheOutputIsOfAKindThatExists(t *testing.T) {
	for _, c := range []struct {
		env  string
		args []string
		code int
	}{
		{"", []string{"version"}, 0},
		{"json", []string{"version"}, 0},
		{"yaml", []string{"version"}, exitTrouble},
		{"yaml", []string{"version", "-o", "json"}, 0}, // the command line goes first
		{"json", []string{"version", "-o", "yaml"}, exitTrouble},
	} {
		if c.env != "" {
			t.Setenv("TALLYMAN_OUTPUT", c.env)
		}
		var out, diag bytes.Buffer
		code := run(t.Context(), c.args, strings.NewReader(""), &out, &diag)
		refused := strings.Count(diag.String(), "\n") == 1 && strings.Contains(diag.String(), `"yaml", also TALLYMAN_OUTPUT, is neither text nor json`)
		if code != c.code || refused != (code != 0) || (out.Len() > 0) != (code == 0) {
			t.Errorf("%q and %v: %d %q %q", c.env, c.args, code, out.String(), diag.String())
		}
	}
}

// That a list is not whole is said beside it, not in it.
func TestThatThereIsMoreIsNoEvent(t *testing.T) {
	t.Parallel()
	var out, diag bytes.Buffer
	if err := writeEvents(&out, &diag, []byte(`{"events":[],"more":7}`)); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 || diag.String() != "tallyman: and 7 more\n" {
		t.Errorf("%q %q", out.String(), diag.String())
	}
}

// Who mistypes a flag is told in one line where the right ones stand.
func TestAnUnknownFlagIsToldWhereTheFlagsAre(t *testing.T) {
	t.Parallel()
	var out, diag bytes.Buffer
	code := run(t.Context(), []string{"submit", "--type", "probe"}, strings.NewReader(""), &out, &diag)
	if want := "tallyman: unknown flag: --type; see `tallyman submit --help`\n"; code != exitTrouble || diag.String() != want || out.Len() > 0 {
		t.Errorf("%d %q %q, want %q", code, out.String(), diag.String(), want)
	}
}

// What the command would drop in silence is refused before anybody is asked, with what to do.
func TestWhatWouldBeIgnoredIsRefused(t *testing.T) {
	t.Parallel()
	const job = "01a1ff4d-6889-73f0-a332-cb468c3a35f7"
	for args, part := range map[string]string{
		"submit --timeout 500ms":             "--timeout 500ms must be whole seconds, like 1s",
		"submit --timeout 1.5s":              "--timeout 1.5s must be whole seconds, like 2s",
		"submit --delay 90.2s":               "--delay 1m30.2s must be whole seconds, like 1m30s",
		"submit --delay -5s":                 "--delay -5s must be whole seconds",
		"events " + job + " --since 1h":      "leave out the job and follow all with -f",
		"events " + job + " -f --since 1h":   "leave out the job and follow all with -f",
		"events " + job + " --queue media":   "leave out the job and follow all with -f",
		"events " + job + " -f --type probe": "leave out the job and follow all with -f",
		"events " + job + " --after 7":       "add -f",
		"events --after 7":                   "follow all of them with -f",
		"events -f --after 1 --since 1h":     "since",
	} {
		var out, diag bytes.Buffer
		code := run(t.Context(), append([]string{"--server", "http://127.0.0.1:1"}, strings.Fields(args)...), strings.NewReader(""), &out, &diag)
		if code != exitTrouble || strings.Count(diag.String(), "\n") != 1 || !strings.Contains(diag.String(), part) {
			t.Errorf("%s: %d %q, want %q", args, code, diag.String(), part)
		}
	}
	// Whole ones go on to the api, which nobody is here.
	for _, args := range []string{"submit --timeout 90s --delay 0s", "events " + job, "events " + job + " --event failed"} {
		var out, diag bytes.Buffer
		code := run(t.Context(), append([]string{"--server", "http://127.0.0.1:1"}, strings.Fields(args)...), strings.NewReader(""), &out, &diag)
		if code != exitTrouble || !strings.Contains(diag.String(), "is it running?") {
			t.Errorf("%s: %d %q", args, code, diag.String())
		}
	}
}
