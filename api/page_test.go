package api

import (
	"slices"
	"testing"

	"tallyman/contract"
)

func TestListOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for range 5 {
		ids = append(ids, w.submit("", contract.StateQueued))
	}
	slices.Reverse(ids)
	var got []string
	for path := "/jobs?limit=2"; path != ""; {
		var page jobPage
		w.get(path).want(200).into(&page)
		for _, j := range page.Jobs {
			got = append(got, j.JobID)
		}
		if path = ""; page.Next != "" {
			path = "/jobs?limit=2&cursor=" + page.Next
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("got %v, want %v", got, ids)
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=201": "limit", "limit=x": "limit", "state=done": "state", "queue=a.b": "queue", "type=": "type",
		"cursor=zz": "cursor", "cursor=" + cursor{1, "x"}.String(): "cursor", "stat=failed": "stat", "limit=1&limit=2": "limit",
	} {
		if p := w.get("/jobs?" + query).want(400).problem(); p.Field != field || p.Code != contract.CodeInvalidValue {
			t.Errorf("%s: %+v", query, p)
		}
	}
	for query, want := range map[string]int{"state=queued": 5, "state=failed": 0, "type=process-data&queue=default": 5, "queue=media": 0} {
		var page jobPage
		w.get("/jobs?" + query).want(200).into(&page)
		if len(page.Jobs) != want {
			t.Errorf("%s: %d jobs", query, len(page.Jobs))
		}
	}
}
