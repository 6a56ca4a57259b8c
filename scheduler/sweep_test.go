package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/queue"
)

func queueMessage(body []byte) queue.Message { return queue.Message{Body: body} }

// deadLetter puts an envelope into the dead-letter queue.
func (w *world) deadLetter(body []byte) {
	w.t.Helper()
	if err := w.sqs.Send(w.t.Context(), w.queue().DeadLetter, queueMessage(body)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) deadTask(name string) contract.Task {
	w.t.Helper()
	task := w.task(name)
	body, err := task.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.submitted(task)
	w.deadLetter(body)
	return task
}

func (w *world) sweepOnce(o Options) error {
	w.t.Helper()
	s := newSweep(&o)
	s.wait = 0 // our own SQS has one server
	return s.round(w.t.Context())
}

// left says what the dead-letter queue still holds.
func (w *world) left() queue.Counts {
	w.t.Helper()
	c, err := w.sqs.Counts(w.t.Context(), w.queue().DeadLetter)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestADeadLetterIsAFailedJob(t *testing.T) {
	t.Parallel()
	now := contract.At(began())
	for name, c := range map[string]struct {
		record       *contract.RunRecord
		said, become string
	}{
		"nobody took it": {nil, "submitted, failed ClaimError", "failed ClaimError"},
		"it was cancelled": {&contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: now},
			"submitted, cancelled Cancelled", "cancelled"},
		"it has expired": {&contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: now},
			"submitted, failed Expired", "failed Expired"},
		"a unit took another copy": {&contract.RunRecord{Owner: "unit"}, "submitted", "unit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			task := w.deadTask(name)
			if c.record != nil {
				w.putRun(task, *c.record)
			}
			if err := w.sweepOnce(w.options(nil)); err != nil {
				t.Fatal(err)
			}
			if said := w.said(); said != c.said {
				t.Error(said)
			}
			if rec := w.runRecord(task); rec != c.become {
				t.Error(rec)
			}
			if got := w.left(); !got.Empty() {
				t.Errorf("the dead-letter queue holds %+v", got)
			}
		})
	}
}

func TestMoreDeadLettersThanOneReceiveAreAllSwept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 25 {
		w.deadTask(time.Duration(i).String())
	}
	if err := w.sweepOnce(w.options(nil)); err != nil {
		t.Fatal(err)
	}
	if got := w.left(); !got.Empty() {
		t.Errorf("the dead-letter queue holds %+v", got)
	}
}

func TestAForeignDeadLetterBecomesAJobFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(nil)
	var ids []string
	o.DeadLetters = foreign{ports{nil, w}, &ids}
	w.deadLetter([]byte("any bytes"))
	if err := w.sweepOnce(o); err != nil {
		t.Fatal(err)
	}
	events := w.events()
	if said := w.said(); said != "submitted, failed ClaimError" {
		t.Fatal(said)
	}
	task, err := contract.DecodeTask(events[0].Task)
	if err != nil {
		t.Fatal(err)
	}
	want := contract.ForeignTask("q", "probe", ids[0], []byte("any bytes"), task.SubmittedAt)
	if diff := cmp.Diff(want, task); diff != "" {
		t.Error(diff)
	}
	if got := w.left(); !got.Empty() {
		t.Errorf("the dead-letter queue holds %+v", got)
	}
}

func TestWhatIsNoJobIsLeft(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"of a future version":     `{"v":2,"anything":true}`,
		"not JSON":                `{`,
		"a field that is missing": `{"v":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deadLetter([]byte(body))
			task := w.deadTask("a job beside it")
			for range 3 {
				if err := w.sweepOnce(w.options(nil)); err != nil {
					t.Fatal(err)
				}
			}
			if said := w.said(); said != "submitted, failed ClaimError" {
				t.Error(said)
			}
			if rec := w.runRecord(task); rec != "failed ClaimError" {
				t.Error(rec)
			}
			if got := w.left(); got != (queue.Counts{InFlight: 1}) { // hidden, so that it is not taken again and again
				t.Errorf("the dead-letter queue holds %+v", got)
			}
		})
	}
}

// A copy that went astray says nothing of the run, which waits in the queue where it belongs.
func TestALetterOfAnotherQueueEndsNoRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	task := w.task("a")
	task.Queue = "other"
	body, err := task.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.deadLetter(body)
	if err := w.sweepOnce(w.options(nil)); err != nil {
		t.Fatal(err)
	}
	if said := w.said(); said != "" {
		t.Error(said)
	}
	if rec := w.runRecord(task); rec != "none" {
		t.Error(rec)
	}
	if got := w.left(); got != (queue.Counts{InFlight: 1}) {
		t.Errorf("the dead-letter queue holds %+v", got)
	}
}

func TestASweepGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	for _, isForeign := range []bool{false, true} {
		for writes := 0; ; writes++ {
			w := newWorld(t)
			c := &cut{left: writes}
			cutOff, o := w.options(c), w.options(nil)
			if isForeign {
				cutOff.DeadLetters, o.DeadLetters = foreign{ports{c, w}, new([]string)}, foreign{ports{nil, w}, new([]string)}
				w.deadLetter([]byte("any bytes"))
			} else {
				w.deadTask("a")
			}
			if err := w.sweepOnce(cutOff); c.hit == (err == nil) {
				t.Fatalf("after %d writes: %v", writes, err)
			}
			if err := w.sweepOnce(o); err != nil {
				t.Fatal(err)
			}
			if said := w.said(); said != "submitted, failed ClaimError" {
				t.Errorf("after %d writes: %s", writes, said)
			}
			if got := w.left(); !got.Empty() {
				t.Errorf("after %d writes the dead-letter queue holds %+v", writes, got)
			}
			if !c.hit {
				break
			}
		}
	}
}
