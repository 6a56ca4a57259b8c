//go:build !image

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
