package chaos

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// told is a world in which all went well: one job, its first attempt failed, its second succeeded.
type told struct {
	promise promise
	job     job
	stats   contract.Stats
	traces  string
	beside  map[string]string // files beside the trace
	unsure  []string
	all     []string

	stranger bool // nobody was promised the job
	load     *load
}

const toldID = "01a1ff4d-6889-73f0-a332-cb468c3a35f7"

func newTold() *told {
	w := &told{
		promise: promise{id: toldID, words: "fail ok", runs: 1, barred: make(map[int]bool)},
		job: job{
			JobID: toldID, State: contract.StateSucceeded, Run: 1, Runs: []runOfJob{{Run: 1, Outcome: contract.OutcomeSucceeded}},
			Attempts: []attempt{
				{Run: 1, Attempt: 1, Ending: contract.EndingFailed, Unit: "u"}, {Run: 1, Attempt: 2, Ending: contract.EndingSucceeded, Unit: "u"},
			},
		},
		traces: "began 1 1\nbegan 1 2\ndone 1 2\n", beside: make(map[string]string),
	}
	sum := contract.Sum{
		SucceedJob: 1, JobRetry: 1, FailedJob: 1, Jobs: contract.JobCounts{Submitted: 1, Succeeded: 1},
		Attempts: contract.AttemptCounts{Total: 2, Succeeded: 1, Failed: 1, Second: 1},
	}
	w.stats = contract.Stats{
		SucceedJob: sum.SucceedJob, JobRetry: sum.JobRetry, FailedJob: sum.FailedJob, Jobs: sum.Jobs, Attempts: sum.Attempts,
		Balanced: true, ByQueue: map[string]contract.Sum{contract.DefaultQueue: sum}, ByType: map[string]contract.Sum{"work": sum},
	}
	return w
}

// arrived makes the one job of that world one of which nobody was told: a message whose answer was lost, of two.
func (w *told) arrived() *told {
	w.unsure, w.all, w.stranger = []string{"fail", w.promise.words}, []string{toldID}, true
	return w
}

// leave makes the load of that world, and leaves the files of its work.
func (w *told) leave(t *testing.T) {
	t.Helper()
	files := &world{t: t, dir: t.TempDir(), killed: make(map[string]int)}
	w.beside[toldID] = w.traces
	for name, text := range w.beside {
		if err := os.MkdirAll(files.traces(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(files.traces(), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.load = &load{w: files, unsure: w.unsure}
	if !w.stranger {
		w.load.promises = append(w.load.promises, &w.promise)
	}
}

func (w *told) judge(t *testing.T) []string {
	t.Helper()
	w.leave(t)
	o := &oracle{l: w.load}
	return o.judge(w.stats, w.all, func(string) job { return w.job }, func(string) string { return "" })
}

// The oracle has nothing to say of what went well, and finds each way in which it did not.
func TestTheOracleFinds(t *testing.T) {
	t.Parallel()
	if found := newTold().judge(t); len(found) > 0 {
		t.Fatalf("all went well, and it says %q", found)
	}
	if found := newTold().arrived().judge(t); len(found) > 0 {
		t.Fatalf("a message of which nobody knew has arrived, and it says %q", found)
	}
	for fault, change := range map[string]func(*told){
		"has not ended": func(w *told) { w.job.Runs[0].Outcome = contract.OutcomeNone },
		"a successor that nobody": func(w *told) {
			w.promise.again, w.job.Run = true, 2
			w.job.Runs = append(w.job.Runs, runOfJob{Run: 2, Outcome: contract.OutcomeSucceeded})
		},
		"and no other follows": func(w *told) {
			w.promise.again, w.job.State, w.job.Runs[0].Outcome = true, contract.StateFailed, contract.OutcomeFailed
		},
		"2 were granted":               func(w *told) { w.promise.runs = 2 },
		"has 2 owners":                 func(w *told) { w.job.Attempts[1].Unit = "another" },
		"2 attempts succeeded":         func(w *told) { w.job.Attempts[0].Ending = contract.EndingSucceeded },
		"attempt 1 of run 1":           func(w *told) { w.job.Attempts[0].Ending = contract.EndingSucceeded },
		"never came to its end":        func(w *told) { w.traces = "began 1 1\nbegan 1 2\n" },
		`"began 1 2" 2 times`:          func(w *told) { w.traces += "began 1 2\n" },
		"at the same time":             func(w *told) { w.beside["overlaps"] = toldID },
		"its attempts are":             func(w *told) { w.job.Attempts[1].Attempt = 3 },
		"nobody asked for it":          func(w *told) { w.job.Runs[0].Outcome, w.job.Attempts = contract.OutcomeCancelled, w.job.Attempts[:1] },
		"was cancelled before anybody": func(w *told) { w.promise.barred[1] = true },
		"after 1 failures":             func(w *told) { w.job.Runs[0].Outcome, w.job.Attempts = contract.OutcomeFailed, w.job.Attempts[:1] },
		"2 jobs are known, 1 were":     func(w *told) { w.stats.Jobs.Submitted = 2 },
		"the stats are not":            func(w *told) { w.stats.FailedJob++ },
		"the queue's stats are not":    func(w *told) { w.stats.ByQueue = nil },
		"the type's stats are not":     func(w *told) { w.stats.ByType = nil },
		"not balanced":                 func(w *told) { w.stats.Balanced = false },
		"the states of":                func(w *told) { w.stats.Jobs.Succeeded = 0 },
		"-jobs +stats":                 func(w *told) { w.arrived().stats.Attempts.Failed-- },
		"(fail) has run 2":             func(w *told) { w.arrived().job.Run = 2 },
		"1 more found, of 2 that may":  func(w *told) { w.arrived().stats.Jobs.Submitted = 3 },
		"0 jobs are known, 1 were":     func(w *told) { w.stats.Jobs = contract.JobCounts{} },
	} {
		w := newTold()
		change(w)
		if found := w.judge(t); !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, fault) }) {
			t.Errorf("%q is not found, only %q", fault, found)
		}
	}
}

// A job whose first attempt failed may have been either of these messages, one that succeeded at once only one of them.
func TestMessagesOfUnknownFateAreDealtOutTogether(t *testing.T) {
	t.Parallel()
	w := newTold().arrived()
	w.unsure = []string{"ok", "fail ok"}
	first, second := w.job, w.job
	second.JobID = strings.Replace(toldID, "0", "1", 1)
	second.Attempts = []attempt{{Run: 1, Attempt: 1, Ending: contract.EndingSucceeded, Unit: "v"}}
	w.beside[second.JobID] = "began 1 1\ndone 1 1\n"
	w.leave(t)
	for _, strangers := range [][]job{{first, second}, {second, first}} {
		adopted := (&oracle{l: w.load}).adopt(strangers)
		for i, j := range strangers {
			if want := map[string]string{first.JobID: "fail ok", second.JobID: "ok"}[j.JobID]; adopted[i] == nil || adopted[i].words != want {
				t.Errorf("job %s was %+v, not %q", j.JobID, adopted[i], want)
			}
		}
	}
}

// A seed is replayed by its number alone, and every kind of fault comes up.
func TestAPlanFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for seed := range uint64(200) {
		p := newPlan(seed)
		if d := cmp.Diff(p.String(), newPlan(seed).String()); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		for _, f := range p {
			seen[f.what] = true
			seen[f.whom] = true
		}
	}
	only, err := parseBlows("orphan pods>nats, pause aggregator")
	if err != nil || slices.ContainsFunc(newPlan(1, only...), func(f fault) bool { return !slices.Contains(only, blow{f.what, f.whom}) }) {
		t.Errorf("of %v is made %s: %v", only, newPlan(1, only...), err)
	}
	for _, wrong := range []string{"pause", "pause nobody", "link pods>nats", ""} {
		if only, err := parseBlows(wrong); err == nil {
			t.Errorf("%q is taken for %v", wrong, only)
		}
	}
	for _, k := range kinds {
		for _, name := range append(slices.Clone(k.whom), k.what) {
			if name != "link" && !seen[name] { // a link's fault is called by what it does
				t.Errorf("no plan has %s", name)
			}
		}
	}
}
