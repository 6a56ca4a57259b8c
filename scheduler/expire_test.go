package scheduler

import (
	"encoding/json"
	"testing"
	"time"

	"tallyman/contract"
)

// document writes what expire reads of a job's document.
func (w *world) document(task contract.Task) {
	w.t.Helper()
	b, err := json.Marshal(contract.Job{V: 1, JobID: task.JobID, SubmittedAt: task.SubmittedAt, UpdatedAt: task.SubmittedAt})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.jobs.Put(w.t.Context(), contract.JobKey(task.JobID), b); err != nil {
		w.t.Fatal(err)
	}
}

// overdue makes a queued run that outlived the retention by a moment.
func (w *world) overdue(name string) contract.Task {
	w.t.Helper()
	task := w.task(name)
	w.document(task)
	w.attention(nil, list(w.item(task, w.submitted(task))))
	w.clock.Advance(time.Duration(contract.DefaultRetention) + DefaultExpireAfter + time.Second)
	return task
}

func TestARunThatOutlivedTheRetentionEnds(t *testing.T) {
	t.Parallel()
	now := contract.At(began())
	for name, c := range map[string]struct {
		record       *contract.RunRecord
		said, become string
	}{
		"nobody took it": {nil, "submitted, failed Expired", "failed Expired"},
		"it was cancelled": {&contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: now},
			"submitted, cancelled Cancelled", "cancelled"},
		"a unit owns it": {&contract.RunRecord{Owner: "unit"}, "submitted", "unit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.options(nil)
			r := newRelay(&o)
			task := w.overdue(name)
			if c.record != nil {
				w.putRun(task, *c.record)
			}
			for range 3 {
				if got := w.relayed(r); got != nil {
					t.Fatalf("sent %v", got)
				}
				w.clock.Advance(2 * DefaultExpireAfter)
			}
			if said := w.said(); said != c.said {
				t.Error(said)
			}
			if rec := w.runRecord(task); rec != c.become {
				t.Error(rec)
			}
			for _, e := range w.events() {
				if !e.SubmittedAt.Equal(task.SubmittedAt.Time) {
					t.Errorf("%s says it was submitted at %s", e.Kind, e.SubmittedAt)
				}
			}
		})
	}
}

func TestARunDoesNotEndBeforeItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	o.QueuedAfter = 0
	r := newRelay(&o)
	task := w.overdue("a")
	w.clock.Advance(-2 * time.Second)
	if err := r.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := w.said(); said != "submitted" {
		t.Error(said)
	}
	if rec := w.runRecord(task); rec != "none" {
		t.Error(rec)
	}
}

func TestAcceptedEndsOnlyWhereItIsHopeless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	r := newRelay(&o)
	fine, gone, stray := w.task("fine"), w.task("gone"), w.task("stray")
	stray.Queue = "not-configured"
	for _, task := range []contract.Task{fine, gone, stray} {
		w.document(task)
	}
	w.attention(list(w.item(fine, w.submitted(fine)), w.item(gone, 999), w.item(stray, w.submitted(stray))), nil)
	w.clock.Advance(time.Minute)
	if got := w.relayed(r); len(got) != 1 || got[0].JobID != fine.JobID {
		t.Fatalf("%v", got)
	}
	// The scheduler may have been away for weeks: what can still be sent is sent.
	w.clock.Advance(2 * time.Duration(contract.DefaultRetention))
	if got := w.relayed(r); len(got) != 1 || got[0].JobID != fine.JobID {
		t.Fatalf("%v", got)
	}
	for task, want := range map[*contract.Task]string{&fine: "none", &gone: "failed Expired", &stray: "failed Expired"} {
		if rec := w.runRecord(*task); rec != want {
			t.Errorf("%s: %s, want %s", task.JobID, rec, want)
		}
	}
}

func TestAnExpiryGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	for writes := range 3 {
		w := newWorld(t)
		task := w.overdue("a")
		cutOff, o := w.options(&cut{left: writes}), w.options(nil)
		if err := newRelay(&cutOff).round(t.Context()); (err == nil) != (writes == 2) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		if err := newRelay(&o).round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if said := w.said(); said != "submitted, failed Expired" {
			t.Errorf("after %d writes: %s", writes, said)
		}
		if rec := w.runRecord(task); rec != "failed Expired" {
			t.Errorf("after %d writes: %s", writes, rec)
		}
	}
}

// A record that a newer release wrote must not keep all other runs from ending.
func TestARunThatCannotBeEndedKeepsNoOtherFromIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	r := newRelay(&o)
	strange, plain := w.task("strange"), w.task("plain")
	w.document(strange)
	w.document(plain)
	if _, err := w.claims.Put(t.Context(), contract.RunKey("q", strange.JobID, 1), []byte(`{"v":2}`)); err != nil {
		t.Fatal(err)
	}
	w.attention(nil, list(w.item(strange, w.submitted(strange)), w.item(plain, w.submitted(plain))))
	w.clock.Advance(time.Duration(contract.DefaultRetention) + DefaultExpireAfter + time.Second)
	if err := r.round(t.Context()); contract.CodeOf(err) != contract.CodeInternal {
		t.Errorf("error %v", err)
	}
	if rec := w.runRecord(plain); rec != "failed Expired" {
		t.Error(rec)
	}
}
