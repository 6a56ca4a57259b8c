package api

import (
	"strings"
	"testing"

	"tallyman/contract"
)

func TestFreshBooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.get("/jobs/stats").want(200)
	if !strings.HasPrefix(string(a.body), `{"succeedJob":0,"jobRetry":0,"failedJob":0,`) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s", a.header.Get("Content-Type"), a.body)
	}
	tag := a.header.Get("ETag")
	for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if a := w.get("/jobs/stats", header{"If-None-Match", match}).want(304); a.header.Get("ETag") != tag {
			t.Errorf("%s: ETag %s", match, a.header.Get("ETag"))
		}
	}
	w.get("/jobs/stats", header{"If-None-Match", `"x"`}).want(200)
	w.submit("", contract.StateQueued)
	w.eventually("new books", func() bool { return w.get("/jobs/stats", header{"If-None-Match", tag}).status == 200 })
}
