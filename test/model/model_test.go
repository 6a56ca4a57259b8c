package model

import (
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

// explored is what each short configuration came to.
var explored = sync.OnceValue(func() map[string]report {
	short, _ := configs()
	reports := make(map[string]report)
	for _, c := range short {
		reports[c.name] = c.machine().explore(c.most)
	}
	return reports
})

// Every state of every short configuration is as it must be, and with TALLYMAN_MODEL=long of every long one.
func TestNothingGoesWrong(t *testing.T) {
	t.Parallel()
	judge := func(name string, r report) {
		if r.wrong != "" || !r.exhausted {
			t.Errorf("%s: %d states, exhausted %t: %s", name, r.states, r.exhausted, r.wrong)
		}
		t.Logf("%-28s %8d states, %5d at rest", name, r.states, r.rests)
	}
	for name, r := range explored() {
		judge(name, r)
	}
	if os.Getenv("TALLYMAN_MODEL") != "long" {
		return
	}
	// What one has met is garbage for the next, and there are gigabytes of it.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	_, long := configs()
	for _, c := range long {
		judge(c.name, c.machine().explore(c.most))
		debug.FreeOSMemory()
	}
}

func TestTheBooksAreOfOneMoment(t *testing.T) {
	t.Parallel()
	r := newBooks(true).explore(1_000_000)
	if r.wrong != "" || !r.exhausted {
		t.Errorf("exhausted %t: %s", r.exhausted, r.wrong)
	}
	t.Logf("%d states, %d at rest", r.states, r.rests)
}

// Each fault that is planted is found, by a promise that it breaks.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	protocol := func(p plant, units int, b budget) func() report {
		return func() report {
			c := world("", units, b)
			if sound := c.machine().explore(c.most); sound.wrong != "" || !sound.exhausted {
				t.Errorf("with nothing planted: %s (%d states)", sound.wrong, sound.states)
			}
			c.planted = p
			return c.machine().explore(c.most)
		}
	}
	for _, c := range []struct {
		planted string
		explore func() report
		wrong   string
	}{
		{"no fence", func() report { return newBooks(false).explore(1_000_000) }, "documents are newer than the checkpoint"},
		{"said before recorded", protocol(saysFirst, 1, budget{crash: 2}), "run A/1 is succeeded in the ledger and failed in the records"},
		{"intent removed without revision", protocol(removesBlindly, 1, budget{expires: 1, requeues: 1, zombie: 1}), "nobody has the task of run A/2 any more"},
		{"fold that trusts arrival order", protocol(trustsOrder, 1, budget{}), "the owner of run A/1 has ended, and nobody will say so"},
		{"no dedupe at the claim", protocol(noDedupe, 2, budget{duplicates: 1}), "two pods have the number of one attempt"},
	} {
		t.Run(c.planted, func(t *testing.T) {
			t.Parallel()
			r := c.explore()
			if first, _, _ := strings.Cut(r.wrong, ", after\n"); first != c.wrong {
				t.Errorf("found %q after %d states, want %q", r.wrong, r.states, c.wrong)
			}
			t.Log(r.wrong)
		})
	}
}
