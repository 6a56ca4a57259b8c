package aggregator

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// A unit's fact counts once by its id, whoever says it how often, and makes no job known; its id is
// forgotten after the window, and there is a bound for a flood.
func TestUnitFactsCountOnce(t *testing.T) {
	t.Parallel()
	l, seq := newLedger(testRules), uint64(0)
	say := func(unit string, kind contract.Kind, after time.Duration, source contract.Source) {
		seq++
		at := epoch.Add(after)
		l.fold(seq, at, &contract.Event{
			Kind: kind, Source: source, Time: contract.At(at), Queue: "default", Type: contract.NoType, Unit: unit, Pod: "p",
		})
	}
	say("u1", contract.Noop, 0, contract.SourceProcessor)
	say("u1", contract.Noop, time.Second, contract.SourceProcessor)
	say("u1", contract.Rejected, time.Second, contract.SourceProcessor)
	say("u2", contract.ClaimFailed, 2*time.Second, contract.SourceBridge)
	say("u2", contract.ClaimFailed, 3*time.Second, contract.SourceProcessor)
	say("u3", contract.Duplicate, 4*time.Second, contract.SourceProcessor)
	if d := cmp.Diff(contract.UnitCounts{Noop: 1, Duplicate: 1, Rejected: 1, ClaimFailed: 1}, l.stats().Units); d != "" {
		t.Error(d)
	}
	back := rebuild(t, l)
	l = back // what the checkpoint keeps is enough
	say("u3", contract.Duplicate, 5*time.Second, contract.SourceProcessor)
	if len(l.jobs) != 0 || l.stats().Units.Duplicate != 1 || len(l.units.seen) != 4 {
		t.Errorf("%d jobs, %+v, %d ids", len(l.jobs), l.stats().Units, len(l.units.seen))
	}
	say("u4", contract.Noop, time.Hour, contract.SourceProcessor)
	if len(l.units.seen) != 1 {
		t.Errorf("%d ids after the window", len(l.units.seen))
	}
	for n := range 2 * maxUnitFacts {
		say(fmt.Sprint("flood", n), contract.Noop, time.Hour, contract.SourceProcessor)
	}
	if len(l.units.seen) != maxUnitFacts || l.stats().Units.Noop != 2+2*maxUnitFacts {
		t.Errorf("%d ids, %+v", len(l.units.seen), l.stats().Units)
	}
}
