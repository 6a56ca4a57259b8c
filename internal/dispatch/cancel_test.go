package dispatch

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
)

func never(int) bool { return false }

func TestCancelQueuedIsATombstone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 2 { // a repeat, after a crash between record and word say, is the same fact
		got, err := w.Cancel(t.Context(), testTask(1), never)
		if err != nil || got != (Cancelled{Run: 1}) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	r := w.runRecord(1)
	if !r.Tombstone || r.Outcome != contract.OutcomeCancelled {
		t.Errorf("record %+v", r)
	}
	events := w.events()
	if len(events) != 1 || events[0].ID() != id(1, contract.CancelledKind) || events[0].Time != r.At || events[0].Reason != contract.Cancelled {
		t.Errorf("said %+v", events)
	}
}

func TestCancelWhatHasEnded(t *testing.T) {
	t.Parallel()
	at := contract.At(time.UnixMilli(1_700_000_005_000))
	for name, before := range map[string]func(*world){
		"the ledger says so": func(*world) {},
		"expired": func(w *world) {
			w.putRun(1, contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: at})
		},
		"its unit is closed":       func(w *world) { w.own("unit-1", 1, contract.Closed) },
		"its unit is gone":         func(w *world) { w.putRun(1, contract.RunRecord{Owner: "unit-1"}) },
		"its unit has another run": func(w *world) { w.own("unit-1", 2, contract.Owned); w.putRun(1, contract.RunRecord{Owner: "unit-1"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before(w)
			if _, err := w.Cancel(t.Context(), testTask(1), func(int) bool { return true }); contract.CodeOf(err) != contract.CodeConflict {
				t.Fatalf("error %v", err)
			}
			if got := w.said(); len(got) > 0 {
				t.Errorf("said %v", got)
			}
		})
	}
}

func TestCancelRunningAsksTheUnit(t *testing.T) {
	t.Parallel()
	for _, state := range []contract.UnitState{contract.Intent, contract.Owned} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.own("unit-1", 1, state)
			for range 2 {
				got, err := w.Cancel(t.Context(), testTask(1), never)
				if err != nil || got != (Cancelled{Run: 1, Asked: true}) {
					t.Fatalf("%+v, %v", got, err)
				}
			}
			if r := w.runRecord(1); r.Next != (contract.Next{Set: true}) || r.Owner != "unit-1" {
				t.Errorf("run record %+v", r)
			}
			if u := w.unit("unit-1"); !u.CancelRequested || u.State != state || len(u.Task) == 0 {
				t.Errorf("unit record %+v", u)
			}
			if got := w.said(); len(got) > 0 {
				t.Errorf("said %v, which is the unit's to say", got)
			}
		})
	}
}

// A record that nobody can read is a fault of ours, and named: who asks to cancel has done nothing wrong.
func TestCancelOfARecordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, key := range []string{contract.RunKey("default", jobID, 1), contract.UnitKey("default", "unit-1")} {
		w := newWorld(t)
		w.own("unit-1", 1, contract.Owned)
		if _, err := w.claims.Put(t.Context(), key, []byte(`{"v":1}`)); err != nil {
			t.Fatal(err)
		}
		_, err := w.Cancel(t.Context(), testTask(1), never)
		if contract.CodeOf(err) != contract.CodeInternal || !strings.Contains(err.Error(), contract.BucketClaims+"/"+key) {
			t.Errorf("%s: %s, %v", key, contract.CodeOf(err), err)
		}
	}
}

func TestCancelFollowsSuccessors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putRun(1, contract.RunRecord{Owner: "unit-1", Next: contract.Next{Set: true, Run: 2}})
	w.putRun(2, contract.RunRecord{Owner: "unit-2", Next: contract.Next{Set: true, Run: 3}})
	got, err := w.Cancel(t.Context(), testTask(1), func(run int) bool { return run == 1 })
	if err != nil || got != (Cancelled{Run: 3}) {
		t.Fatalf("%+v, %v", got, err)
	}
	want := []string{id(2, contract.Submitted), id(3, contract.Submitted), id(3, contract.CancelledKind)}
	if diff := cmp.Diff(want, w.said()); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// A chain that never ends is corruption, and must not hold a request for ever.
func TestCancelFollowsNotForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putRun(1, contract.RunRecord{Owner: "unit-1", Next: contract.Next{Set: true, Run: 2}})
	w.putRun(2, contract.RunRecord{Owner: "unit-1", Next: contract.Next{Set: true, Run: 2}})
	if _, err := w.Cancel(t.Context(), testTask(1), never); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

// A purge ends what nobody owns, once, and leaves everything else as it is.
func TestCancelUnclaimed(t *testing.T) {
	t.Parallel()
	at := contract.At(time.UnixMilli(1_700_000_005_000))
	stone := func(o contract.Outcome, reason contract.Reason) contract.RunRecord {
		return contract.RunRecord{Tombstone: true, Outcome: o, Reason: reason, At: at}
	}
	for name, c := range map[string]struct {
		before *contract.RunRecord
		made   bool
		said   []string
	}{
		"nobody owns it":    {nil, true, []string{id(1, contract.CancelledKind)}},
		"a unit owns it":    {&contract.RunRecord{Owner: "unit-1"}, false, nil},
		"it was followed":   {&contract.RunRecord{Owner: "unit-1", Next: contract.Next{Set: true, Run: 2}}, false, nil},
		"cancelled already": {new(stone(contract.OutcomeCancelled, "")), false, []string{id(1, contract.CancelledKind)}},
		"expired":           {new(stone(contract.OutcomeFailed, contract.Expired)), false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.before != nil {
				w.putRun(1, *c.before)
			}
			for i := range 2 { // a repeat, after a crash between record and word say, is the same fact
				made, err := w.CancelUnclaimed(t.Context(), testTask(1))
				if err != nil || made != (c.made && i == 0) {
					t.Fatalf("%v, %v", made, err)
				}
			}
			r := w.runRecord(1)
			if c.before != nil && r != *c.before || c.before == nil && (!r.Tombstone || r.Outcome != contract.OutcomeCancelled) {
				t.Errorf("record %+v", r)
			}
			if diff := cmp.Diff(c.said, w.said()); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

// A claim and a cancel at once: either the tombstone stands and the claim sees it, or the unit owns the
// run and was asked. Never both, never neither.
func TestCancelAgainstClaim(t *testing.T) {
	t.Parallel()
	for range 20 {
		w := newWorld(t)
		var work sync.WaitGroup
		var claimed error
		work.Go(func() {
			b, err := (&contract.RunRecord{Owner: "unit-2"}).Encode()
			if err != nil {
				t.Error(err)
			}
			_, claimed = w.claims.Create(t.Context(), contract.RunKey("default", jobID, 1), b)
		})
		var got Cancelled
		var err error
		work.Go(func() { got, err = w.Cancel(t.Context(), testTask(1), never) })
		work.Wait()
		r := w.runRecord(1)
		if won := claimed == nil; won != (r.Owner == "unit-2") || won == r.Tombstone {
			t.Fatalf("claim %v, record %+v", claimed, r)
		}
		if r.Tombstone && (err != nil || got.Asked || len(w.said()) != 1) {
			t.Fatalf("tombstone: %+v, %v, said %v", got, err, w.said())
		}
		if r.Owner != "" && (!r.Next.Set || contract.CodeOf(err) != contract.CodeConflict) { // unit-2 has no record here
			t.Fatalf("owned: record %+v, %v", r, err)
		}
	}
}
