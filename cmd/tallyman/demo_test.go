//go:build !image

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tallyman/contract"
)

// What the board draws fits into the terminal, however narrow it is: a line that went on in the next row would leave
// its rest behind whenever the board is drawn again.
func TestTheBoardFitsTheTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b := newBoard(&out, 3)
	l := life{
		JobID: "01a1ff4d-6889-73f0-a332-cb468c3a35f7", State: contract.StateRetrying, Attempt: 1, Reason: contract.AppExit,
		Message: "\x1b[2J" + strings.Repeat("ü", 200),
	}
	b.see(0, "fails first, then succeeds", l)
	b.see(1, "the original's 5000 records", life{JobID: l.JobID, State: contract.StateRunning, Attempt: 1, Progress: "40%"})
	if strings.Count(out.String(), "\n") != 2 || !strings.Contains(out.String(), l.JobID) {
		t.Errorf("where there is no terminal, each change is a whole line: %q", out.String())
	}
	for _, columns := range []int{-1, 0, 1, 2, 20, 80, 132, 1000} {
		lines := b.render(columns)
		if len(lines) != 3 {
			t.Errorf("%d columns: %q", columns, lines)
		}
		for _, line := range lines {
			if n := len([]rune(line)); n > max(1, columns) || strings.ContainsAny(line, "\x1b\n\r\t") {
				t.Errorf("%d columns: %d of %q", columns, n, line)
			}
		}
	}
	if line := b.render(usualColumns)[1]; !strings.Contains(line, "running") || !strings.Contains(line, "attempt 1  40%") {
		t.Errorf("a usual terminal does not show how far the job is: %q", line)
	}
}

// The demonstration is content with what it expects, and with nothing else: neither with another end, nor with an
// attempt too many or too few, nor with books that do not balance.
func TestTheDemonstrationIsJudged(t *testing.T) {
	t.Parallel()
	const one, two = `[{"run":1,"attempt":1}]`, `[{"run":1,"attempt":1},{"run":1,"attempt":2}]`
	for name, c := range map[string]struct {
		state, attempts string
		balanced        bool
		fault           string
	}{
		"as it must":          {"succeeded", two, true, ""},
		"it failed":           {"failed", two, true, "is failed, succeeded was expected"},
		"it has not ended":    {"retrying", one, true, "is retrying, succeeded was expected"},
		"its retry was saved": {"succeeded", one, true, "took 1 attempts, 2 were expected"},
		"no balance":          {"succeeded", two, false, "not balanced"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/jobs/stats" {
				fmt.Fprintf(res, `{"balanced":%v}`, c.balanced)
				return
			}
			fmt.Fprintf(res, `{"jobId":"a","state":%q,"attempts":%s}`, c.state, c.attempts)
		}))
		client := &client{base: srv.URL, http: srv.Client(), timeout: askTimeout}
		err := judge(t.Context(), client, []demoJob{{"fails first", "{}", 2}}, []string{"a"}, io.Discard)
		srv.Close()
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
