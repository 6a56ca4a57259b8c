package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// The producer's load ends as it says, and the books agree, [C1] to [C5].
func TestProduceReconciles(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *optionsOfDev) { o.Config.Queues[0].Visibility = contract.Duration(10 * time.Minute) })
	got := tallyman(t, "produce", "--count", "200", "--bad", "10%", "--duplicates", "20", "--seed", "7", "--server", w.API)
	all := values(t, got.out)
	if got.code != 0 || len(all) != 1 {
		t.Fatalf("%+v", got)
	}
	sum := all[0]
	bad := sum["bad_msgs"].(float64)
	if sum["status"] != true || sum["tot_msgs"] != 200.0 || sum["duplicates"] != 20.0 || bad == 0 ||
		sum["succeeded"] != 200-bad || sum["failed"] != bad || sum["sale_evnts"].(float64)+sum["inventory_evnts"].(float64) != 200 {
		t.Errorf("%v", sum)
	}
	s := w.atRest(200)
	if s.SucceedJob != 200-int(bad) || s.Jobs.Failed != int(bad) || s.JobRetry != 0 {
		t.Errorf("%+v", s)
	}
}

// Who does not wait until the end has not seen it, and says so. Here nothing is done at all.
func TestProduceIsNotContentBeforeTheEnd(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *optionsOfDev) { o.Paused = true })
	got := tallyman(t, "produce", "--count", "5", "--patience", "0s", "--server", w.API)
	if got.code != 1 || !oneLine(got.err, "the books do not agree") || !strings.Contains(got.out, "after 0s 5 of 5 jobs have not ended, like ") {
		t.Errorf("%+v", got)
	}
}

// Work that takes bad events for good ones is found by every job and by the sums, and exits 1.
func TestProduceFindsWhatDoesNotAgree(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *optionsOfDev) {
		q := &o.Config.Queues[0]
		i := slices.IndexFunc(q.Types, func(jt contract.JobType) bool { return jt.Name == "store-event" })
		q.Types[i].Command = []string{"true"}
	})
	got := tallyman(t, "produce", "--count", "20", "--bad", "50%", "--seed", "7", "--server", w.API)
	all := values(t, got.out)
	if got.code != 1 || len(all) != 1 || !oneLine(got.err, "the books do not agree") {
		t.Fatalf("%+v", got)
	}
	sum, bad := all[0], all[0]["bad_msgs"].(float64)
	differences := fmt.Sprint(sum["differences"])
	if sum["status"] != false || bad == 0 || sum["succeeded"] != 20.0 ||
		strings.Count(differences, "is succeeded, failed was expected") != int(bad) ||
		!strings.Contains(differences, fmt.Sprintf("the stats count 20 more successes, %.0f were posted", 20-bad)) ||
		!strings.Contains(differences, fmt.Sprintf("the stats count 0 more failed jobs, %.0f bad events were posted", bad)) {
		t.Errorf("%v", sum)
	}
}

// Several producers at a time hold each its own jobs to what it posted, and take nobody else's for a difference.
func TestProducersDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.start()
	api := p.addresses().API
	const producers, count = 2, 60
	ends := make(chan said, producers)
	for n := range producers {
		cmd := command(t.Context(), t, "produce", "--count", fmt.Sprint(count), "--bad", "20%", "--duplicates", "10", "--seed", fmt.Sprint(n), "--server", api)
		go func() { ends <- finish(t, cmd) }()
	}
	good, bad := 0, 0
	for range producers {
		got := <-ends
		all := values(t, got.out)
		if got.code != 0 || len(all) != 1 {
			t.Fatalf("%+v", got)
		}
		sum := all[0]
		if sum["status"] != true || sum["differences"] != nil || sum["succeeded"].(float64)+sum["failed"].(float64) != count || sum["failed"] != sum["bad_msgs"] {
			t.Errorf("%v", sum)
		}
		if sum["others"] != nil && !oneLine(got.err, "store-event jobs of others were under way") {
			t.Errorf("that there are others is not said: %+v", got)
		}
		good, bad = good+int(sum["succeeded"].(float64)), bad+int(sum["failed"].(float64))
	}
	w := p.world()
	if s := w.atRest(producers * count); s.SucceedJob != good || s.Jobs.Failed != bad {
		t.Errorf("%d and %d were posted: %+v", good, bad, s)
	}
	// With nobody beside it, the sums are held to be exactly what was posted.
	got := tallyman(t, "produce", "--count", "20", "--server", api)
	if all := values(t, got.out); got.code != 0 || got.err != "" || len(all) != 1 || all[0]["others"] != nil {
		t.Errorf("%+v", got)
	}
}
