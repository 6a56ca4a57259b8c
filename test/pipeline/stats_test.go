package pipeline

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// part asks for a part of the books. When an audit was last made is no part of them: one may come at any time.
func (w *world) part(query string) (s contract.Stats) {
	w.t.Helper()
	code, b := w.do(http.MethodGet, "/jobs/stats?"+query, "")
	if code != http.StatusOK {
		w.t.Fatalf("%s: %d %s", query, code, b)
	}
	w.read(b, &s)
	s.Audit = nil
	return s
}

// The books of a queue, of a type and of a time are parts of the whole; and what they were is what they are
// told to have been.
func TestPartsOfTheBooksAddUp(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for range 3 {
		w.post("process-data", quick)
	}
	then := w.atRest(3)
	w.post("process-data", `{"records":100,"pauseMs":0,"failureRate":1}`)
	w.post("store-event", `{"cust_id":1,"event_type":"sale_event"}`)
	w.atRest(5)
	whole := until(w, "the bridge's word of every unit", w.stats, func(s contract.Stats) bool {
		return s.Latency.Unit.Count == 5 && s.Latency.Boot.Count == 5
	})
	then.Audit, whole.Audit = nil, nil
	process, store := w.part("type=process-data"), w.part("type=store-event")
	if process.Jobs.Submitted != 4 || store.Jobs.Failed != 1 || process.SucceedJob != 3 || process.FailedJob+store.FailedJob != whole.FailedJob {
		t.Errorf("process-data %+v\nstore-event %+v", process, store)
	}
	for _, query := range []string{"queue=" + contract.DefaultQueue, "since=2h"} {
		got := w.part(query)
		if got.AsOf.Seq != whole.AsOf.Seq {
			t.Fatalf("%s: as of %d, not %d", query, got.AsOf.Seq, whole.AsOf.Seq)
		}
		got.Window = nil
		if d := cmp.Diff(whole, got); d != "" {
			t.Errorf("all of it, asked for as %s:\n%s", query, d)
		}
	}
	var series contract.Point
	for _, p := range w.part("since=2h&step=minute").Series {
		series.Submitted += p.Submitted
		series.FailedJob += p.FailedJob
		series.SucceedJob += p.SucceedJob
	}
	if series.Submitted != 5 || series.FailedJob != whole.FailedJob || series.SucceedJob != 3 {
		t.Errorf("the series adds up to %+v", series)
	}
	if d := cmp.Diff(then, w.part(fmt.Sprint("at=", then.AsOf.Seq))); d != "" {
		t.Errorf("as it was at %d:\n%s", then.AsOf.Seq, d)
	}
	if got := w.part(fmt.Sprint("since=1h&at=", then.AsOf.Seq)); got.Jobs.Submitted != 3 {
		t.Errorf("the hour before: %+v", got.Jobs)
	}
	got := tallyman(t, "stats", "--since", "2h", "--step", "minute", "-o", "json", "--server", w.API)
	var s contract.Stats
	if err := json.Unmarshal([]byte(got.out), &s); err != nil || s.Jobs.Submitted != 5 || len(s.Series) == 0 {
		t.Errorf("%v %+v", err, got)
	}
}
