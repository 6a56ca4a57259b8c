package pipeline

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tallyman/contract"
)

// An outage that outlasts a run's attempts is what `reruns` are for: the job fails, says when it goes on, and
// succeeds once what it needs is back. One that a person cancels stays failed, and one that no retry mends too.
func TestRerunsOutlastAnOutage(t *testing.T) {
	t.Parallel()
	needed := filepath.Join(t.TempDir(), "needed")
	w := start(t, func(o *optionsOfDev) {
		q := &o.Config.Queues[0]
		soon, late := contract.Duration(time.Second), contract.Duration(time.Hour)
		q.Types = append(q.Types, shell("needs", "test -e "+needed), shell("late", "exit 3"), shell("hopeless", "exit 65"))
		for i, r := range []*contract.Reruns{{Max: 50, Delay: soon, MaxDelay: soon}, {Max: 1, Delay: late, MaxDelay: late}, {Max: 1, Delay: soon, MaxDelay: soon}} {
			q.Types[len(q.Types)-3+i].Reruns = r
		}
	})
	needs, late, hopeless := w.post("needs", `{}`), w.post("late", `{}`), w.post("hopeless", `{}`)
	w.comesTo(late, "rerun-due", "run 2 begins by itself in ", "rerun 1 of at most 1 in a row")
	if status, b := w.do(http.MethodDelete, "/jobs/"+late, ""); status != http.StatusAccepted {
		t.Errorf("DELETE of a job whose rerun is due: %d %s", status, b)
	}
	w.comesTo(late, "failed-app-exit")
	w.comesTo(hopeless, "failed-app-error")
	until(w, "a second run", func() job { return w.get(needs) }, func(j job) bool { return j.Run > 1 })
	if err := os.WriteFile(needed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := until(w, "a success", func() job { return w.get(needs) }, func(j job) bool { return j.State == contract.StateSucceeded })
	s := w.atRest(3)
	w.balanced(s)
	// Runs that failed had three attempts each; of the last the first may have been before what it needs was there.
	last := len(j.Attempts) - 3*(j.Run-1)
	if last < 1 || last > 3 || s.SucceedJob != 1 || s.FailedJob-s.JobRetry != j.Run+1 {
		t.Errorf("run %d with %d attempts; succeedJob %d, failedJob %d, jobRetry %d", j.Run, len(j.Attempts), s.SucceedJob, s.FailedJob, s.JobRetry)
	}
}

// A built-in type that cannot do its work now is no permanent failure either: the file that it is to read comes later.
func TestABuiltInTypeIsRunAgainToo(t *testing.T) {
	t.Parallel()
	var files string
	w := start(t, func(o *optionsOfDev) {
		files = o.Files
		soon := contract.Duration(time.Second)
		q := &o.Config.Queues[0]
		i := slices.IndexFunc(q.Types, func(t contract.JobType) bool { return t.Name == contract.DefaultJobType })
		q.Types[i].Reruns = &contract.Reruns{Max: 50, Delay: soon, MaxDelay: soon}
	})
	id := w.post(contract.DefaultJobType, `{"source":"orders.csv"}`)
	j := until(w, "a second run", func() job { return w.get(id) }, func(j job) bool { return j.Run > 1 })
	if first := j.Attempts[0]; first.Reason != contract.AppExit || first.ExitCode == nil || *first.ExitCode != 1 {
		t.Errorf("%+v", first)
	}
	writeFile(t, files, "orders.csv", "id,price\n1,2.5\n")
	until(w, "a success", func() job { return w.get(id) }, func(j job) bool { return j.State == contract.StateSucceeded })
	w.balanced(w.atRest(1))
}

// A run whose Kubernetes Job went away behind everybody's back runs again, where its queue asks for that.
func TestALostRunIsRecovered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "config.yaml", `queues:
- name: default
  onLost: rerun
  types: [{name: first, command: [sh, -c, 'if [ "$TALLYMAN_RUN" = 1 ]; then exec sleep 600; fi']}]
`)
	p := newProgram(t, "--config", filepath.Join(dir, "config.yaml"))
	p.start()
	id := p.world().post("first", `{}`)
	until(p.world(), "its work", func() job { return p.world().get(id) }, func(j job) bool { return len(j.Attempts) > 0 && !j.Attempts[0].StartedAt.IsZero() })
	p.kill()
	for _, unit := range p.unitsMade() {
		if err := os.Remove(unit); err != nil {
			t.Fatal(err)
		}
	}
	p.start()
	j := until(p.world(), "a success", func() job { return p.world().get(id) }, func(j job) bool { return j.State == contract.StateSucceeded })
	if j.Run != 2 || len(j.Attempts) != 2 || j.Attempts[0].Unit == j.Attempts[1].Unit {
		t.Errorf("%+v", j)
	}
	p.world().balanced(p.world().atRest(1))
}
