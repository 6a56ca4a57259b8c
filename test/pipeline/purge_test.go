package pipeline

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tallyman/contract"
)

// A queue that may run one job at a time: what waits behind it is purged, what runs succeeds, and the messages of
// the others go without a pod having worked at any of them.
func TestPurgeCancelsWhatWaits(t *testing.T) {
	t.Parallel()
	const jobs = 12
	done := filepath.Join(t.TempDir(), "done")
	w := start(t, func(o *optionsOfDev) {
		q := &o.Config.Queues[0]
		q.Max = 1
		q.Types = append(q.Types, shell("held", "until test -e "+done+"; do sleep 0.05; done"))
	})
	running := w.post("held", `{}`)
	until(w, "its work", func() job { return w.get(running) }, func(j job) bool { return len(j.Attempts) == 1 && !j.Attempts[0].StartedAt.IsZero() })
	var waiting []string
	for range jobs {
		waiting = append(waiting, w.post("held", `{}`))
	}
	if got := tallyman(t, "purge", "default", "--server", w.API); got.code != 2 || got.out != "" || !oneLine(got.err, "12 jobs wait in queue default and would be cancelled: add --yes") {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "purge", "nowhere", "--yes", "--server", w.API); got.code != 2 || !oneLine(got.err, "404") {
		t.Errorf("%+v", got)
	}
	if s := w.stats(); s.Jobs.Running != 1 || s.Jobs.Queued != jobs {
		t.Errorf("%+v", s.Jobs)
	}
	got := tallyman(t, "purge", "default", "--yes", "-o", "json", "--server", w.API)
	if all := values(t, got.out); got.code != 0 || got.err != "" || len(all) != 1 || all[0]["cancelled"] != float64(jobs) || all[0]["remaining"] != 0.0 {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "purge", "default", "--yes", "--server", w.API); got != (said{0, "0 cancelled\n", ""}) {
		t.Errorf("%+v", got)
	}
	for _, id := range waiting {
		if j := w.ended(id); j.State != contract.StateCancelled || len(j.Attempts) > 0 {
			t.Errorf("%+v", j)
		}
	}
	if j := w.get(running); j.State != contract.StateRunning {
		t.Errorf("%+v", j)
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	last := w.post("process-data", quick) // what comes later is behind the purged ones' messages, and runs
	s := w.atRest(jobs + 2)
	if s.Jobs.Cancelled != jobs || s.Jobs.Succeeded != 2 || s.Attempts.Total != 2 || w.get(last).State != contract.StateSucceeded {
		t.Errorf("%+v, %+v", s.Jobs, s.Attempts)
	}
	until(w, "an empty queue", func() [3]int {
		visible, inFlight, delayed := w.counts(w.Queues[contract.DefaultQueue])
		return [3]int{visible, inFlight, delayed}
	}, func(n [3]int) bool { return n == [3]int{} })
	w.clean()
}

// More than one answer may tell of: the command goes on by itself until nothing remains.
func TestPurgeGoesOnUntilNothingRemains(t *testing.T) {
	t.Parallel()
	const jobs = 2500
	w := start(t, func(o *optionsOfDev) { o.Paused = true })
	batch := "[" + strings.Repeat("{},", 499) + "{}]"
	for range jobs / 500 {
		if status, b := w.do(http.MethodPost, "/jobs/batch", batch); status != http.StatusOK {
			t.Fatalf("%d %.200s", status, b)
		}
	}
	got := tallyman(t, "purge", "default", "--yes", "--server", w.API)
	if got.code != 0 || got.out != "2500 cancelled\n" {
		t.Errorf("%+v", got)
	}
	told := 0 // an answer tells of a thousand, or of those that it came to in its time
	for line := range strings.Lines(got.err) {
		if strings.HasSuffix(line, "; asking again\n") { // the books were behind so many posts
			continue
		}
		var cancelled, remain int
		if _, err := fmt.Sscanf(line, "%d cancelled, %d remain\n", &cancelled, &remain); err != nil || cancelled <= told || cancelled > told+1000 || cancelled+remain != jobs {
			t.Errorf("%q behind %d: %v", line, told, err)
		}
		told = cancelled
	}
	if told < jobs-1000 {
		t.Errorf("the last thousand began behind %d", told)
	}
	if s := w.atRest(jobs); s.Jobs.Cancelled != jobs {
		t.Errorf("%+v", s.Jobs)
	}
}

// Two who purge, over and over, while pods claim: each job succeeds or is cancelled, none both, and what the answers
// count is what the ledger counts.
func TestPurgeAmongClaims(t *testing.T) {
	t.Parallel()
	const jobs = 120
	w := start(t, nil)
	batch := "[" + strings.Repeat(`{"payload":`+quick+`},`, jobs-1) + `{"payload":` + quick + `}]`
	if status, b := w.do(http.MethodPost, "/jobs/batch", batch); status != http.StatusOK {
		t.Fatalf("%d %.200s", status, b)
	}
	until(w, "claims", w.stats, func(s contract.Stats) bool { return s.Attempts.Total > 0 })
	var counted atomic.Int64
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for range jobs / 4 {
				status, b, err := ask(t.Context(), http.MethodPost, w.API+"/queues/default/purge?limit=2", "", nil)
				var p struct{ Cancelled int64 }
				if err != nil || status != http.StatusOK || json.Unmarshal(b, &p) != nil {
					t.Errorf("%d %s, %v", status, b, err)
					return
				}
				counted.Add(p.Cancelled)
			}
		})
	}
	work.Wait()
	s := w.atRest(jobs)
	if n := int(counted.Load()); n == 0 || s.Jobs.Cancelled != n || s.Jobs.Succeeded != jobs-n || s.Attempts.Total != jobs-n || s.Jobs.Succeeded == 0 {
		t.Errorf("%d were purged; %+v, %+v", n, s.Jobs, s.Attempts)
	}
	w.clean()
}
