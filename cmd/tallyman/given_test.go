package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// asked runs a command against an api that answers nothing of use, and tells whether that was asked.
func asked(t *testing.T, args ...string) (code int, diag string, was bool) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		was = true
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	var out, said bytes.Buffer
	code = run(t.Context(), append(args, "--server", server.URL), strings.NewReader(""), &out, &said)
	if out.Len() > 0 {
		t.Errorf("%q: %q", args, out.String())
	}
	return code, said.String(), was
}

// Every flag with words of every command that asks: given without any, it is refused by name, and nobody is asked. So
// one that is made tomorrow is, too.
func TestAFlagWithoutAWordIsRefused(t *testing.T) {
	t.Parallel()
	const job = "01a1ff4d-6889-73f0-a332-cb468c3a35f7"
	words := map[string][]string{
		"get": {job}, "explain": {job}, "cancel": {job}, "requeue": {job}, "logs": {job}, "purge": {"media"}, "replay": {"billing"}, "completion": {"bash"},
	}
	n := 0
	var walk func(*cobra.Command, []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, c := range cmd.Commands() {
			if !marked(c, program) && c.Name() != "help" {
				walk(c, append(path[:len(path):len(path)], c.Name()))
			}
		}
		if len(path) == 0 {
			return
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if kind := f.Value.Type(); kind != "string" && kind != "stringSlice" {
				return
			}
			for _, value := range []string{"", " "} {
				n++
				args := append(append(path[:len(path):len(path)], words[cmd.Name()]...), "--"+f.Name, value)
				code, diag, was := asked(t, args...)
				if want := "tallyman: --" + f.Name + " is given but empty: give it a value, or leave it out\n"; code != exitTrouble || diag != want || was {
					t.Errorf("%q: %d %q, asked %v, want %q", args, code, diag, was, want)
				}
			}
		})
	}
	walk(newRoot(), nil)
	if n < 40 {
		t.Errorf("only %d flags were found: this test looks for the wrong thing", n)
	}
}

func TestAFlagThatWouldCountAsAbsentIsRefused(t *testing.T) {
	t.Parallel()
	const job = "01a1ff4d-6889-73f0-a332-cb468c3a35f7"
	for _, c := range []struct {
		says string
		args []string
	}{
		{"--timeout 0s must be more than 0", []string{"submit", "--timeout", "0s"}},
		{"--timeout -5s must be more than 0", []string{"submit", "--timeout", "-5s"}},
		{"--run 0 must be more than 0", []string{"requeue", job, "--run", "0"}},
		{"--run 0 must be more than 0", []string{"logs", job, "--run", "0"}},
		{"--run -1 must be more than 0", []string{"logs", job, "--run", "-1"}},
		{"--attempt 0 must be more than 0", []string{"logs", job, "--attempt", "0"}},
		{"--from 0 must be more than 0", []string{"webhooks", "replay", "billing", "--from", "0"}},
		{"--tag is given but empty", []string{"submit", "--tag", "a,,b"}},
		{"--token-file is given but empty", []string{"list", "--token-file", ""}},
		{"--key is given but empty: give it a value, or leave it out; --queue is given but empty", []string{"submit", "--queue", "", "--key", ""}},
		{"TYPE is given but empty", []string{"submit", ""}},
		{"TYPE is given but empty", []string{"submit", " "}},
	} {
		if code, diag, was := asked(t, c.args...); code != exitTrouble || !strings.HasPrefix(diag, "tallyman: "+c.says) || strings.Count(diag, "\n") != 1 || was {
			t.Errorf("%q: %d %q, asked %v, want %q", c.args, code, diag, was, c.says)
		}
	}
	// A zero that says something is asked with.
	for _, args := range [][]string{
		{"submit", "--delay", "0s"}, {"submit", "--timeout", "10s"}, {"submit", "--payload", "0"}, {"requeue", job, "--run", "10"}, {"produce", "--seed", "0"},
		{"webhooks", "replay", "billing", "--since", "0s"}, {"verify", "--wait", "0s"}, {"events", "-f", "--after", "0"}, {"submit", "--tag", "a,b"},
	} {
		if code, diag, was := asked(t, args...); code != exitTrouble || !was {
			t.Errorf("%q: %d %q, asked %v", args, code, diag, was)
		}
	}
}

// An environment in which a variable is set to nothing is one without it.
func TestAnEmptyVariableIsNone(t *testing.T) {
	t.Setenv("TALLYMAN_TOKEN_FILE", "")
	if code, diag, was := asked(t, "list"); code != exitTrouble || !was {
		t.Errorf("%d %q, asked %v", code, diag, was)
	}
}
