package dispatch

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
)

func TestSuccessorByTheRecord(t *testing.T) {
	t.Parallel()
	at := contract.At(time.UnixMilli(1_700_000_005_000))
	owned := contract.RunRecord{Owner: "unit-1"}
	none := contract.RunRecord{Owner: "unit-1", Next: contract.Next{Set: true}}
	failed := contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: at}
	next := contract.Next{Set: true, Run: 2}
	for name, c := range map[string]struct {
		before *contract.RunRecord
		source contract.TaskSource
		after  contract.RunRecord
		code   contract.Code
	}{
		"owned, requeue":          {&owned, contract.FromRequeue, contract.RunRecord{Owner: "unit-1", Next: next}, ""},
		"owned, rerun":            {&owned, contract.FromRerun, contract.RunRecord{Owner: "unit-1", Next: next}, ""},
		"none binds a rerun":      {&none, contract.FromRerun, none, contract.CodeConflict},
		"none binds a recovery":   {&none, contract.FromRecovery, none, contract.CodeConflict},
		"a requeue replaces none": {&none, contract.FromRequeue, contract.RunRecord{Owner: "unit-1", Next: next}, ""},
		"tombstone":               {&failed, contract.FromRequeue, contract.RunRecord{Tombstone: true, Outcome: failed.Outcome, Reason: failed.Reason, At: at, Next: next}, ""},
		"aged out":                {nil, contract.FromRequeue, contract.RunRecord{Tombstone: true, At: at, Next: next}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return at.Time } })
			if c.before != nil {
				w.putRun(1, *c.before)
			}
			for range 2 { // a repeat follows
				got, err := w.Successor(t.Context(), testTask(1), c.source, contract.Time{})
				if contract.CodeOf(err) != c.code {
					t.Fatalf("error %v", err)
				}
				if c.code == "" && (got.Run != 2 || got.Source != c.source) {
					t.Fatalf("successor %+v", got)
				}
			}
			if diff := cmp.Diff(c.after, w.runRecord(1)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

// However many ask at once, a run has one successor, and its submission is one fact.
func TestOneSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putRun(1, contract.RunRecord{Owner: "unit-1"})
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			next, err := w.Successor(t.Context(), testTask(1), contract.FromRequeue, contract.Time{})
			if errors.Is(err, stream.ErrUnavailable) {
				return // lost every race: the client is told to try again
			}
			if err != nil || next.Run != 2 {
				t.Errorf("run %d, %v", next.Run, err)
				return
			}
			if _, err := w.Submit(t.Context(), next); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if diff := cmp.Diff([]string{id(2, contract.Submitted), id(2, contract.Queued)}, w.said()[:2]); diff != "" || len(w.said()) != 2 {
		t.Errorf("said %v", w.said())
	}
}

func TestSuccessorHasALimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Successor(t.Context(), testTask(contract.MaxRun), contract.FromRequeue, contract.Time{}); contract.CodeOf(err) != contract.CodeConflict {
		t.Errorf("error %v", err)
	}
}
