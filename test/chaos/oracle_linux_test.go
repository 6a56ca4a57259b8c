package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// job is what clients are told of one.
type job struct {
	JobID    string
	State    contract.State
	Run      int
	Runs     []runOfJob
	Attempts []attempt
	EndedAt  time.Time
	Rerun    *struct{ Run int } // that it gets by itself
}

type runOfJob struct {
	Run     int
	Outcome contract.Outcome
	Reason  contract.Reason
}

type attempt struct {
	Run, Attempt int
	Ending       contract.Ending
	Reason       contract.Reason
	ExitCode     *int
	Unit         string
}

// oracle judges by what clients were told, and by the traces that the work left. All faults are mended and
// everything is at rest when it is asked.
type oracle struct {
	l     *load
	found []string

	expected contract.Sum
	types    map[bool]*contract.Sum // of those that run again by themselves, and of the others
}

func (o *oracle) fault(format string, args ...any) {
	o.found = append(o.found, fmt.Sprintf(format, args...))
}

// judge gives everything that is wrong, with what was said of the jobs that it is wrong with. all are the ids of the
// jobs that the stats count; they are needed where a message may have arrived or not.
func (o *oracle) judge(stats contract.Stats, all []string, read func(id string) job, history func(id string) string) []string {
	known := make(map[string]bool)
	judge := func(p *promise, j job) {
		known[p.id] = true
		before := len(o.found)
		if o.judgeJob(p, &j); len(o.found) > before {
			o.fault("what was said of job %s:\n%s", p.id, history(p.id))
		}
	}
	for _, p := range o.l.promises {
		judge(p, read(p.id))
	}
	promised := len(known)
	var strangers []job
	for _, id := range all {
		if !known[id] {
			strangers = append(strangers, read(id))
		}
	}
	for i, p := range o.adopt(strangers) {
		judge(p, strangers[i])
	}
	if stats.Jobs.Submitted != len(known) {
		o.fault("%d jobs are known, %d were promised, and %d more found, of %d that may be", stats.Jobs.Submitted, promised, len(known)-promised, len(o.l.unsure))
	} else {
		o.judgeBooks(stats)
	}
	if b, err := os.ReadFile(filepath.Join(o.l.w.traces(), "overlaps")); err == nil {
		o.fault("two attempts of a job at the same time: %s", b)
	}
	if text := imbalance(&stats); text != "" {
		o.fault("%s", text)
	}
	return o.found
}

// adopt finds out which of the messages of unknown fate each of the jobs was that nobody was promised: one whose words
// agree with what became of it. Several may, and then others may need just that one, so they are dealt out together. A
// job that none agrees with gets one that is left, and is found wrong by it; one for which none is left gets none.
func (o *oracle) adopt(strangers []job) map[int]*promise {
	owner := make(map[int]int) // of a message
	var give func(stranger int, asked map[int]bool) bool
	give = func(stranger int, asked map[int]bool) bool {
		for m, words := range o.l.unsure {
			if asked[m] || !o.agrees(words, &strangers[stranger]) {
				continue
			}
			asked[m] = true
			if other, taken := owner[m]; !taken || give(other, asked) {
				owner[m] = stranger
				return true
			}
		}
		return false
	}
	var alone []int
	for i := range strangers {
		if !give(i, make(map[int]bool)) {
			alone = append(alone, i)
		}
	}
	adopted := make(map[int]*promise)
	for m, words := range o.l.unsure {
		i, taken := owner[m]
		switch {
		case taken:
		case len(alone) > 0:
			i, alone = alone[0], alone[1:]
		default:
			continue
		}
		adopted[i] = stranger(strangers[i].JobID, words)
	}
	return adopted
}

// stranger was sent past the api, so nobody had its id to wish anything else of it.
func stranger(id, words string) *promise {
	return &promise{id: id, words: words, runs: 1, barred: make(map[int]bool)}
}

func (o *oracle) agrees(words string, j *job) bool {
	trial := oracle{l: o.l}
	trial.judgeJob(stranger(j.JobID, words), j)
	return len(trial.found) == 0
}

func imbalance(s *contract.Stats) string {
	j := s.Jobs
	if sum := j.Accepted + j.Queued + j.Running + j.Retrying + j.Succeeded + j.Failed + j.Cancelled; j.Submitted != sum || !s.Balanced {
		return fmt.Sprintf("not balanced at %+v: %+v, the states of %+v add up to %d", s.AsOf, s.Balance, j, sum)
	}
	return ""
}

func (o *oracle) judgeJob(p *promise, j *job) {
	if p.again {
		o.judgeReruns(p, j)
	} else if j.Run != p.runs || len(j.Runs) != p.runs {
		o.fault("job %s (%s) has run %d of %d, %d were granted", p.id, p.words, j.Run, len(j.Runs), p.runs)
	}
	traces := o.traces(p)
	sums := o.sums(p)
	for _, s := range sums {
		s.Jobs.Submitted++
		*s.Jobs.Of(j.State)++
	}
	for _, r := range j.Runs {
		var tries []attempt
		for _, a := range j.Attempts {
			if a.Run == r.Run {
				tries = append(tries, a)
			}
		}
		for _, s := range sums {
			count(s, r, tries)
		}
		o.judgeRun(p, r, tries, traces)
	}
}

// sums are those that a job counts in.
func (o *oracle) sums(p *promise) []*contract.Sum {
	if o.types == nil {
		o.types = map[bool]*contract.Sum{false: {}, true: {}}
	}
	return []*contract.Sum{&o.expected, o.types[p.again]}
}

// judgeReruns holds the runs of a job to what makes one: a person's wish, or a failure of the run before that is
// not the last of so many in a row. After a cancel there may be fewer.
func (o *oracle) judgeReruns(p *promise, j *job) {
	if j.Run < p.runs || len(j.Runs) != j.Run {
		o.fault("job %s (%s) has run %d of %d, %d were granted", p.id, p.words, j.Run, len(j.Runs), p.runs)
	}
	failures := 0 // in a row
	for i, r := range j.Runs {
		if failures++; r.Outcome != contract.OutcomeFailed {
			failures = 0
		}
		follows, asked := i+1 < len(j.Runs), i+1 < p.runs
		due := failures > 0 && failures <= reruns && r.Reason != contract.AppError
		switch {
		case follows && !asked && !due:
			o.fault("run %d of job %s (%s) has a successor that nobody asked for: %+v", r.Run, p.id, p.words, j.Runs)
		case !follows && due && !p.tried:
			o.fault("run %d of job %s (%s) failed, and no other follows: %+v", r.Run, p.id, p.words, j.Runs)
		}
	}
}

// count adds a run to what the stats must say.
func count(s *contract.Sum, r runOfJob, tries []attempt) {
	failed := 0
	for _, a := range tries {
		s.Attempts.Total++
		if a.Attempt > 1 {
			s.Attempts.Second++
		}
		switch a.Ending {
		case contract.EndingSucceeded:
			s.Attempts.Succeeded++
		case contract.EndingDisrupted:
			s.Attempts.Disrupted++
		case contract.EndingFailed:
			s.Attempts.Failed++
			failed++
		case contract.EndingSuperseded:
			s.Attempts.Superseded++
		}
	}
	switch r.Outcome {
	case contract.OutcomeSucceeded:
		s.SucceedJob++
	case contract.OutcomeFailed:
		s.FailedJob += max(failed, 1)
		s.JobRetry += max(failed, 1) - 1
		return
	}
	s.FailedJob += failed
	s.JobRetry += failed
}

// judgeRun holds one run to what its client was told and to what its work did.
func (o *oracle) judgeRun(p *promise, r runOfJob, tries []attempt, traces map[string]int) {
	name := fmt.Sprintf("run %d of job %s (%s)", r.Run, p.id, p.words)
	units, failed, succeeded, final := make(map[string]bool), 0, 0, false
	for i, a := range tries {
		if a.Unit != "" { // its claim was never said, only its end
			units[a.Unit] = true
		}
		final = final || wordOf(p.words, a.Attempt) == "permanent"
		switch a.Ending {
		case contract.EndingFailed:
			failed++
		case contract.EndingSucceeded:
			succeeded++
			if w := wordOf(p.words, a.Attempt); w != "ok" && w != "slow" {
				o.fault("attempt %d of %s succeeded", a.Attempt, name)
			}
			if traces[fmt.Sprintf("done %d %d", r.Run, a.Attempt)] == 0 {
				o.fault("attempt %d of %s succeeded, and its work never came to its end", a.Attempt, name)
			}
		}
		if a.Attempt != i+1 {
			o.fault("%s: its attempts are %+v", name, tries)
		}
	}
	killed := 0
	for unit, n := range o.l.w.killed {
		switch {
		case units[unit]:
			killed += n
		case len(tries) == 0: // its unit was killed before it had an attempt, and nobody says which that was
			killed = max(killed, n)
		}
	}
	switch {
	case r.Outcome == contract.OutcomeNone:
		o.fault("%s has not ended", name)
	case len(units) > 1:
		o.fault("%s has %d owners: %+v", name, len(units), tries)
	case (r.Outcome == contract.OutcomeSucceeded) != (succeeded == 1) || succeeded > 1:
		o.fault("%s: %s, and %d attempts succeeded", name, r.Outcome, succeeded)
	case r.Outcome == contract.OutcomeCancelled && !p.tried:
		o.fault("%s was cancelled, and nobody asked for it", name)
	case p.barred[r.Run] && (r.Outcome != contract.OutcomeCancelled || len(tries) > 0):
		o.fault("%s was cancelled before anybody had it: %s, %+v", name, r.Outcome, tries)
	case r.Outcome == contract.OutcomeFailed && !final && failed+killed < 3 && r.Reason != contract.ClaimError:
		o.fault("%s failed (%s) after %d failures: %+v", name, r.Reason, failed, tries)
	}
}

// wordOf is what an attempt does.
func wordOf(words string, n int) string {
	all := strings.Fields(words)
	return all[min(n, len(all))-1]
}

// traces counts the lines that the work of a job left. An attempt that began twice had two owners.
func (o *oracle) traces(p *promise) map[string]int {
	b, err := os.ReadFile(filepath.Join(o.l.w.traces(), p.id))
	if err != nil {
		return nil // nobody ever worked at it
	}
	count := make(map[string]int)
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if count[line]++; count[line] > 1 {
			o.fault("job %s: %q %d times", p.id, line, count[line])
		}
	}
	return count
}

// judgeBooks compares the stats with the sum of everything that clients were told of each job.
func (o *oracle) judgeBooks(s contract.Stats) {
	got := contract.Sum{SucceedJob: s.SucceedJob, JobRetry: s.JobRetry, FailedJob: s.FailedJob, Jobs: s.Jobs, Attempts: s.Attempts}
	if d := cmp.Diff(o.expected, got); d != "" {
		o.fault("the stats are not what the jobs add up to (-jobs +stats):\n%s", d)
	}
	for _, part := range []struct {
		name      string
		got, want contract.Sum
	}{
		{"queue", s.ByQueue[contract.DefaultQueue], o.expected},
		{"type", s.ByType["work"], *o.types[false]}, {"type", s.ByType["again"], *o.types[true]},
	} {
		part.got.Failures = nil
		if d := cmp.Diff(part.want, part.got); d != "" && part.want.Jobs.Submitted > 0 {
			o.fault("the %s's stats are not what the jobs add up to (-jobs +stats):\n%s", part.name, d)
		}
	}
}
