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
	if len(l.jobs) != 0 || l.stats().Units.Duplicate != 1 || len(l.units.said)+len(l.units.failed) != 4 {
		t.Errorf("%d jobs, %+v, %d ids", len(l.jobs), l.stats().Units, len(l.units.said)+len(l.units.failed))
	}
	say("u4", contract.Noop, time.Hour, contract.SourceProcessor)
	if len(l.units.said) != 1 {
		t.Errorf("%d ids after the window", len(l.units.said))
	}
	for n := range 2 * maxUnitFacts {
		say(fmt.Sprint("flood", n), contract.Noop, time.Hour, contract.SourceProcessor)
	}
	if len(l.units.said) != maxUnitFacts || l.stats().Units.Noop != 2+2*maxUnitFacts {
		t.Errorf("%d ids, %+v", len(l.units.said), l.stats().Units)
	}
}

// A bridge that is started again says of every dead pod that is still listed that it never claimed. It counts once
// however often that happens, also where nobody knows when the pod died and where the ledger was loaded in
// between; and a pod that is told of late, because no bridge was there, counts.
func TestAClaimFailureCountsOnceWhileItsPodIsListed(t *testing.T) {
	t.Parallel()
	l, seq := newLedger(testRules), uint64(0)
	say := func(n int, happened, said time.Duration) {
		seq++
		l.fold(seq, epoch.Add(said), &contract.Event{
			Kind: contract.ClaimFailed, Source: contract.SourceBridge, Time: contract.At(epoch.Add(happened)), Queue: "default", Type: contract.NoType,
			Unit: fmt.Sprint("u", n), Pod: "p", Reason: contract.ImagePull,
		})
	}
	const each = 2 * time.Minute
	for n := range 10 {
		say(n, time.Duration(n)*each, time.Duration(n)*each)
	}
	for again := time.Hour; again < 6*24*time.Hour; again += 40 * time.Hour { // a pod that is listed for days, and bridges that come and go
		for n := range 10 {
			happened := time.Duration(n) * each
			if n == 3 { // the kubelet refused it, and nobody knows when
				happened = again
			}
			say(n, happened, again)
		}
		l = rebuild(t, l)
		if got := l.stats().Units.ClaimFailed; got != 10 {
			t.Fatalf("after %s ten pods that never claimed are %d", again, got)
		}
	}
	say(10, 0, 6*24*time.Hour)
	if got := l.stats().Units.ClaimFailed; got != 11 {
		t.Errorf("one that is told of six days later: %d", got)
	}
	for n := range maxClaimFailures {
		say(100+n, 0, 6*24*time.Hour)
		say(10, 0, 6*24*time.Hour) // said again and again, it stays among the newest
	}
	if got := l.stats().Units.ClaimFailed; got != 11+maxClaimFailures || len(l.units.failed) != maxClaimFailures {
		t.Errorf("%d, %d ids", got, len(l.units.failed))
	}
	l.fold(seq+1, epoch.Add(9*24*time.Hour), event(testID(1), 1, 0, contract.Submitted, 9*24*3600))
	if len(l.units.failed) != 0 {
		t.Errorf("%d ids after all are long over", len(l.units.failed))
	}
}
