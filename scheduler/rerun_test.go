package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// askForReruns makes the world's queue ask for them.
func (w *world) askForReruns(onLost contract.OnLost, r *contract.Reruns) {
	w.queue().OnLost, w.queue().Types = onLost, []contract.JobType{{Name: "probe", Reruns: r}, {Name: "plain"}}
}

func tenMinutes() *contract.Reruns {
	return &contract.Reruns{Max: 2, Delay: contract.Duration(10 * time.Minute), MaxDelay: contract.Duration(time.Hour)}
}

// put writes a document of the ledger.
func (w *world) put(key string, v any) {
	w.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.jobs.Put(w.t.Context(), key, b); err != nil {
		w.t.Fatal(err)
	}
}

// failed says that a run of a task failed now, whose `submitted` is event seq.
func (w *world) failed(task contract.Task, reason contract.Reason) {
	w.t.Helper()
	_, err := w.nats.Publish(w.t.Context(), contract.Event{
		Kind: contract.Failed, Source: contract.SourceBridge, Time: contract.At(w.clock.Now()), Queue: task.Queue, Type: task.Type,
		JobID: task.JobID, Run: task.Run, SubmittedAt: task.SubmittedAt, Reason: reason,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// folds writes what the aggregator would: the documents of all jobs of the stream, and how far it has come.
func (w *world) folds() {
	w.t.Helper()
	jobs := make(map[string]*contract.Job)
	events := w.events()
	for i, e := range events {
		j := jobs[e.JobID]
		if j == nil {
			j = &contract.Job{V: 1, JobID: e.JobID, Queue: e.Queue, Type: e.Type, SubmittedAt: e.SubmittedAt, UpdatedAt: e.Time}
			jobs[e.JobID] = j
		}
		at := slices.IndexFunc(j.Runs, func(r contract.JobRun) bool { return r.Run == e.Run })
		if at < 0 {
			at, j.Runs = len(j.Runs), append(j.Runs, contract.JobRun{Run: e.Run})
		}
		switch r := &j.Runs[at]; e.Kind {
		case contract.Submitted:
			r.TaskSeq, j.State, j.Run = uint64(i+1), contract.StateAccepted, e.Run
		case contract.Failed:
			r.Outcome, r.Reason, r.EndedAt, j.State = contract.OutcomeFailed, e.Reason, e.Time, contract.StateFailed
		}
	}
	for id, j := range jobs {
		w.put(contract.JobKey(id), j)
	}
	w.put(contract.KeyStats, contract.Stats{AsOf: contract.AsOf{Seq: uint64(len(events))}})
}

// rounds does rounds of a rerun and gives the runs that were sent, as "run source".
func (w *world) rounds(r *rerun) (sent []string) {
	w.t.Helper()
	for range 2 { // the second has nothing left to do
		if err := r.round(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, task := range w.tasks() {
		sent = append(sent, fmt.Sprint(task.Run, " ", task.Source))
	}
	return sent
}

func (w *world) want(sent []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(sent, want) {
		w.t.Fatalf("sent %q, want %q; said: %s", sent, want, w.said())
	}
}

func TestAFailedJobRunsAgainAfterItsDelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	o := w.options(nil)
	r := newRerun(&o)
	w.want(w.rounds(r)) // it learns what is the past
	task := w.task("a")
	w.submitted(task)
	w.failed(task, contract.AppExit)
	w.want(w.rounds(r)) // the ledger does not know of it
	w.folds()
	w.clock.Advance(10*time.Minute - time.Second)
	w.want(w.rounds(r))
	w.clock.Advance(time.Second)
	w.want(w.rounds(r), "2 rerun")
	if got := w.said(); got != "submitted, failed AppExit, submitted, queued" {
		t.Error(got)
	}
	task.Run = 2
	w.folds()
	w.failed(task, contract.AppExit)
	w.folds()
	w.clock.Advance(20*time.Minute - time.Second)
	w.want(w.rounds(r))
	w.clock.Advance(time.Second)
	w.want(w.rounds(r), "3 rerun")
	w.folds()
	task.Run = 3
	w.failed(task, contract.AppExit)
	w.folds()
	w.clock.Advance(24 * time.Hour)
	w.want(w.rounds(r)) // it has had as many as it may
	if len(r.pending) > 0 {
		t.Errorf("%d failures are not done with", len(r.pending))
	}
}

// A server of NATS that has not stored the task yet does not cost a job its further run.
func TestAFurtherRunWaitsForAServerThatIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	lag := &lagging{Stream: w.nats}
	o := w.options(nil)
	o.Events = lag
	r := newRerun(&o)
	w.want(w.rounds(r)) // it learns what is the past
	task := w.task("a")
	w.submitted(task)
	w.failed(task, contract.AppExit)
	w.folds()
	w.clock.Advance(10 * time.Minute)
	if err := r.round(t.Context()); !errors.Is(err, stream.ErrBehind) {
		t.Errorf("the round says %v", err)
	}
	w.want(w.rounds(r))
	lag.caughtUp = true
	w.clock.Advance(waitAfter)
	w.want(w.rounds(r), "2 rerun")
}

// mark is how far the failures are done with, as it is written down.
func (w *world) mark() (m contract.RerunMark) {
	w.t.Helper()
	e, err := w.schedules.Get(w.t.Context(), contract.KeyRerunMark)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(e.Value, &m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// The api promises a run of what stands behind the mark: it must not pass a failure that waits for its time, whatever
// failed after it and is done with.
func TestTheMarkStaysBeforeWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	o := w.options(nil)
	r := newRerun(&o)
	w.want(w.rounds(r))
	waits, done := w.task("waits"), w.task("done")
	done.Type = "plain" // which asks for no reruns
	w.submitted(waits)
	w.submitted(done)
	w.failed(waits, contract.AppExit) // event 3
	w.failed(done, contract.AppExit)  // event 4
	w.folds()
	w.want(w.rounds(r))
	if m := w.mark(); m.Seq != 2 {
		t.Errorf("the mark is %+v while event 3 waits", m)
	}
	w.clock.Advance(time.Hour)
	w.want(w.rounds(r), "2 rerun")
	if m := w.mark(); m.Seq != 4 {
		t.Errorf("the mark is %+v when all is done with", m)
	}
}

func TestALostRunIsRecoveredAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns(contract.LostReruns, nil)
	o := w.options(nil)
	r := newRerun(&o)
	w.want(w.rounds(r))
	lost, failed := w.task("lost"), w.task("failed")
	for _, task := range []contract.Task{lost, failed} {
		w.submitted(task)
	}
	w.failed(lost, contract.Lost)
	w.failed(failed, contract.AppExit)
	w.folds()
	w.want(w.rounds(r), "2 recovery")
}

// What has failed before anybody could promise a rerun is the past, and stays it for those who lead later.
func TestThePastIsNotRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	o := w.options(nil)
	old, young := w.task("old"), w.task("young")
	w.submitted(old)
	w.failed(old, contract.AppExit)
	w.folds()
	w.clock.Advance(time.Hour)
	w.want(w.rounds(newRerun(&o)))
	w.submitted(young)
	w.failed(young, contract.AppExit)
	w.folds()
	w.clock.Advance(time.Hour)
	w.want(w.rounds(newRerun(&o)), "2 rerun") // another leads, after some time with none
	w.want(w.rounds(newRerun(&o)))
}

// restored is a stream as its backup brings it back: shorter, and made when the one that it replaces was.
type restored struct {
	*stream.Stream
	created time.Time
}

func (r restored) Info(ctx context.Context) (stream.Info, error) {
	info, err := r.Stream.Info(ctx)
	info.Created = r.created
	return info, err
}

// setBack puts a copy that ends at an event in the place of the world's stream.
func (w *world) setBack(last int) restored {
	w.t.Helper()
	info, err := w.nats.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	events := w.events()
	w.nats = testenv.NATS(w.t)
	for _, e := range events[:last] {
		if _, err := w.nats.Publish(w.t.Context(), e); err != nil {
			w.t.Fatal(err)
		}
	}
	return restored{w.nats, info.Created}
}

// What fails on a stream that was set back is run again, long before the stream is as long as it was. Where it ends
// is written down at once: the api promises a run of what fails behind it.
func TestAStreamThatWasSetBackIsReadOn(t *testing.T) {
	t.Parallel()
	for name, another := range map[string]bool{"by who led": false, "by another": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.askForReruns("", tenMinutes())
			o := w.options(nil)
			var log bytes.Buffer
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			r := newRerun(&o)
			w.want(w.rounds(r))
			for _, name := range []string{"kept", "lost"} {
				task := w.task(name)
				task.Type = "plain" // which asks for no reruns
				w.submitted(task)
				w.failed(task, contract.AppExit)
			}
			w.folds()
			w.want(w.rounds(r))
			if m := w.mark(); m.Seq != 4 {
				t.Fatalf("the mark is %+v", m)
			}
			o.Events = w.setBack(2)
			if r.events = o.Events; another {
				r = newRerun(&o)
			}
			w.want(w.rounds(r))
			if m := w.mark(); m.Seq != 2 {
				t.Errorf("the mark of a stream that ends at event 2 is %+v", m)
			}
			young := w.task("young")
			w.submitted(young)
			w.failed(young, contract.AppExit) // event 4, as one that was done with
			w.folds()
			w.clock.Advance(time.Hour)
			w.want(w.rounds(r), "2 rerun")
			if got := strings.Count(log.String(), "was set back"); got != 1 {
				t.Errorf("it was warned of %d times: %s", got, &log)
			}
		})
	}
}

// What waits for its rerun where the stream is set back is read again from the mark, and waits on.
func TestWhatWaitsOnAStreamThatWasSetBackWaitsOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	o := w.options(nil)
	r := newRerun(&o)
	w.want(w.rounds(r))
	waits, lost := w.task("waits"), w.task("lost")
	for _, task := range []contract.Task{waits, lost} {
		w.submitted(task)
		w.failed(task, contract.AppExit)
	}
	w.folds()
	w.want(w.rounds(r))
	r.events = w.setBack(2)
	if err := w.jobs.Delete(t.Context(), contract.JobKey(lost.JobID), 0); err != nil {
		t.Fatal(err)
	}
	w.folds()
	w.want(w.rounds(r))
	if len(r.pending) != 1 || r.pending[0].job != waits.JobID {
		t.Errorf("%d failures wait", len(r.pending))
	}
	w.clock.Advance(time.Hour)
	w.want(w.rounds(r), "2 rerun")
}

// A server that is behind finds no mark. That makes nothing the past: the next one is asked.
func TestAMarkThatAServerDoesNotHaveYetIsHeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	o := w.options(nil)
	w.want(w.rounds(newRerun(&o)))
	task := w.task("a")
	w.submitted(task)
	w.failed(task, contract.AppExit)
	w.folds()
	w.clock.Advance(time.Hour)
	o.Schedules = serversBehind(o.Schedules, contract.KeyRerunMark, 1)
	w.want(w.rounds(newRerun(&o)), "2 rerun") // another leads
}

// Where no server that has the mark answers, nothing is decided, and the next round asks again.
func TestAMarkThatIsThereAndNotFoundIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	o := w.options(nil)
	w.want(w.rounds(newRerun(&o)))
	task := w.task("a")
	w.submitted(task)
	w.failed(task, contract.AppExit)
	w.folds()
	w.clock.Advance(time.Hour)
	o.Schedules = serversBehind(o.Schedules, contract.KeyRerunMark, maxRaces)
	r := newRerun(&o)
	if err := r.round(t.Context()); !errors.Is(err, stream.ErrUnavailable) {
		t.Fatalf("%v, want that it is unavailable", err)
	}
	w.want(w.rounds(r), "2 rerun")
}

// The word that a job was submitted is lost, as where a stream was set back. It gets no further run, and holds up nobody.
func TestAJobThatNobodySubmittedIsNotRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.askForReruns("", tenMinutes())
	o := w.options(nil)
	r := newRerun(&o)
	w.want(w.rounds(r))
	task := w.task("a")
	w.failed(w.task("orphan"), contract.AppExit)
	w.submitted(task)
	w.failed(task, contract.AppExit)
	w.folds()
	w.clock.Advance(time.Hour)
	w.want(w.rounds(r), "2 rerun")
	w.folds()
	w.want(w.rounds(r))
	if len(r.pending) > 0 {
		t.Errorf("%d failures are not done with", len(r.pending))
	}
}

// A cancel forbids the rerun; what succeeded after all, or was requeued meanwhile, needs none.
func TestWhatIsSettledIsNotRunAgain(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string]func(*world, contract.Task){
		"cancelled": func(w *world, task contract.Task) {
			w.putRun(task, contract.RunRecord{Owner: "u", Next: contract.Next{Set: true}})
		},
		"succeeded after all": func(w *world, task contract.Task) {
			w.put(contract.JobKey(task.JobID), contract.Job{
				V: 1, JobID: task.JobID, Queue: "q", Type: "probe", State: contract.StateSucceeded, Run: 1,
				SubmittedAt: task.SubmittedAt, UpdatedAt: task.SubmittedAt,
				Runs: []contract.JobRun{{Run: 1, Outcome: contract.OutcomeSucceeded}},
			})
		},
		"requeued": func(w *world, task contract.Task) {
			task.Run = 2
			w.submitted(task)
			w.folds()
		},
		"its document is gone": func(w *world, task contract.Task) {
			if err := w.jobs.Delete(w.t.Context(), contract.JobKey(task.JobID), 0); err != nil {
				w.t.Fatal(err)
			}
			w.clock.Advance(time.Since(w.clock.Now()) + 2*unknownAfter) // NATS' clock is not the test's
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.askForReruns("", tenMinutes())
			o := w.options(nil)
			r := newRerun(&o)
			w.want(w.rounds(r))
			task := w.task("a")
			w.submitted(task)
			w.failed(task, contract.AppExit)
			w.folds()
			w.want(w.rounds(r))
			settle(w, task)
			w.clock.Advance(time.Hour)
			w.want(w.rounds(r))
			if len(r.pending) > 0 {
				t.Errorf("it is not done with: %+v", r.pending[0])
			}
		})
	}
}

// Cut off after any write, another leader brings the same run about, once.
func TestARerunIsOneWhateverIsCutOff(t *testing.T) {
	t.Parallel()
	for writes := 0; ; writes++ {
		w := newWorld(t)
		w.askForReruns("", tenMinutes())
		whole := w.options(nil)
		w.want(w.rounds(newRerun(&whole)))
		task := w.task("a")
		w.submitted(task)
		w.failed(task, contract.AppExit)
		w.folds()
		w.clock.Advance(time.Hour)
		c := &cut{left: writes}
		broken := w.options(c)
		err := newRerun(&broken).round(t.Context())
		w.clock.Advance(time.Minute)
		sent := w.rounds(newRerun(&whole))
		if n := len(sent); n < 1 || n > 2 || sent[0] != "2 rerun" || sent[n-1] != "2 rerun" { // the claim drops a second copy
			t.Fatalf("after %d writes (%v): sent %q; said: %s", writes, err, sent, w.said())
		}
		runs := make(map[int]bool)
		for _, e := range w.events() {
			runs[e.Run] = true
		}
		if len(runs) != 2 {
			t.Fatalf("after %d writes: %s", writes, w.said())
		}
		if !c.hit {
			return
		}
	}
}
