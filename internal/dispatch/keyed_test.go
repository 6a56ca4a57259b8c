package dispatch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// The claims outlive the documents of finished jobs: a task sent now would be dropped by every claim, and its run would
// stay queued for ever.
func TestAKeyedJobThatHasARecordIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	now := contract.At(time.UnixMilli(1_700_000_000_000))
	next := contract.Next{Set: true, Run: 2}
	for name, c := range map[string]struct {
		given func(w *world)
		want  contract.State
	}{
		"at work":     {func(w *world) { w.own("u", 1, contract.Owned) }, contract.StateRunning},
		"just begun":  {func(w *world) { w.own("u", 1, contract.Intent) }, contract.StateRunning},
		"closed":      {func(w *world) { w.own("u", 1, contract.Closed) }, contract.StateSucceeded},
		"a unit gone": {func(w *world) { w.putRun(1, contract.RunRecord{Owner: "u"}) }, contract.StateRunning},
		"cancelled": {func(w *world) {
			w.putRun(1, contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: now})
		}, contract.StateCancelled},
		"expired": {func(w *world) {
			w.putRun(1, contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: now})
		}, contract.StateFailed},
		"requeued": {func(w *world) {
			w.putRun(1, contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: now, Next: next})
			w.own("u", 2, contract.Closed)
		}, contract.StateSucceeded},
		"requeued when its own record was gone": {func(w *world) {
			w.putRun(1, contract.RunRecord{Tombstone: true, At: now, Next: next})
			w.own("u", 2, contract.Owned)
		}, contract.StateRunning},
		"a successor that was never made": {func(w *world) {
			w.putRun(1, contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: now, Next: next})
		}, contract.StateFailed},
		"nobody shall follow": {func(w *world) {
			w.putRun(1, contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: now, Next: contract.Next{Set: true}})
		}, contract.StateCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.given(w)
			state, err := w.SubmitKeyed(t.Context(), testTask(1))
			if err != nil || state != c.want {
				t.Errorf("state %q, %v; want %q", state, err, c.want)
			}
			if said := w.said(); len(said) > 0 || len(w.sender.sent) > 0 {
				t.Errorf("said %v, sent %d", said, len(w.sender.sent))
			}
		})
	}
}

func TestARecordThatDoesNotTellMakesNoJob(t *testing.T) {
	t.Parallel()
	now := contract.At(time.UnixMilli(1_700_000_000_000))
	other := testTask(1)
	other.Payload = []byte("2")
	for name, c := range map[string]struct {
		given func(w *world)
		task  contract.Task
		want  func(error) bool
	}{
		"it is other work": {
			func(w *world) { w.own("u", 1, contract.Owned) }, other,
			func(err error) bool { return errors.Is(err, ErrOtherWork) },
		},
		"how it ended is not kept": {
			func(w *world) {
				w.putRun(1, contract.RunRecord{Tombstone: true, At: now, Next: contract.Next{Set: true, Run: 2}})
			}, testTask(1),
			func(err error) bool { return contract.CodeOf(err) == contract.CodeConflict },
		},
		"it cannot be read": {
			func(w *world) {
				if _, err := w.claims.Put(w.t.Context(), contract.RunKey("default", jobID, 1), []byte(`{"v":2}`)); err != nil {
					w.t.Fatal(err)
				}
			}, testTask(1),
			func(err error) bool { return contract.CodeOf(err) == contract.CodeInternal },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.given(w)
			if state, err := w.SubmitKeyed(t.Context(), c.task); !c.want(err) || state != "" {
				t.Errorf("state %q, %v", state, err)
			}
			if said := w.said(); len(said) > 0 || len(w.sender.sent) > 0 {
				t.Errorf("said %v, sent %d", said, len(w.sender.sent))
			}
		})
	}
}

// Whatever the ledger knows by then, one key sends one task: the one that the stream has.
func TestAKeyedJobIsSentAsItWasSaidFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) {
		o.Config.Queues = append(o.Config.Queues, contract.Queue{Name: "media", URL: "http://sqs/media"})
	})
	for later := range 3 { // a repeat is made at another time
		task := testTask(1)
		task.SubmittedAt = contract.At(task.SubmittedAt.Add(time.Duration(later) * time.Second))
		if state, err := w.SubmitKeyed(t.Context(), task); err != nil || state != contract.StateQueued {
			t.Fatalf("state %q, %v", state, err)
		}
	}
	for field, change := range map[string]func(*contract.Task){
		"payload": func(t *contract.Task) { t.Payload = []byte("2") },
		"queue":   func(t *contract.Task) { t.Queue = "media" },
		"type":    func(t *contract.Task) { t.Type = "other" },
		"timeout": func(t *contract.Task) { t.TimeoutSeconds = 1 },
		"tags":    func(t *contract.Task) { t.Tags = []string{"a"} },
	} {
		task := testTask(1)
		change(&task)
		if state, err := w.SubmitKeyed(t.Context(), task); !errors.Is(err, ErrOtherWork) {
			t.Errorf("another %s: state %q, %v", field, state, err)
		}
	}
	if len(w.sender.sent) != 3 {
		t.Fatalf("%d tasks were sent", len(w.sender.sent))
	}
	for _, m := range w.sender.sent {
		got, err := contract.DecodeTask(m.Body)
		if diff := cmp.Diff(testTask(1), got); diff != "" || err != nil {
			t.Errorf("task (-want +got):\n%s %v", diff, err)
		}
	}
	if diff := cmp.Diff([]string{id(1, contract.Submitted), id(1, contract.Queued)}, w.said()); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// forgetful has not got yet what it acknowledged, as a server that follows another.
type forgetful struct{ *stream.Stream }

func (forgetful) Event(context.Context, uint64) (stream.Stored, error) {
	return stream.Stored{}, stream.ErrBehind
}

func TestAKeyedJobWhoseTaskCannotBeReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Events = forgetful{o.Events.(*stream.Stream)} })
	if _, err := w.SubmitKeyed(t.Context(), testTask(1)); err != nil {
		t.Fatal(err)
	}
	state, err := w.SubmitKeyed(t.Context(), testTask(1))
	if contract.CodeOf(err) != contract.CodeUnavailable || !strings.Contains(err.Error(), "try again") {
		t.Errorf("state %q, %v", state, err)
	}
	if len(w.sender.sent) != 1 {
		t.Errorf("%d tasks were sent", len(w.sender.sent))
	}
}
