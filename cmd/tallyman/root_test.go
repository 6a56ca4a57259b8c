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
