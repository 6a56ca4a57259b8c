package audit

import (
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

const anyJob = "01890a5d-ac96-774b-bcce-b302099a8057"

// sound is the evidence of a job of which everything fits: it has run once, and succeeded.
func sound() *evidence {
	at := contract.At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	doc := []byte(`{"jobId":"` + anyJob + `"}`)
	job := &contract.Job{JobID: anyJob, Queue: "default", State: contract.StateSucceeded, Run: 1, Events: []uint64{1, 2}, Runs: []contract.JobRun{{
		Run: 1, SubmittedAt: at, Outcome: contract.OutcomeSucceeded, Attempts: []contract.JobAttempt{{Attempt: 1, ClaimedAt: at}},
	}}}
	return &evidence{
		id: anyJob, entry: stream.Entry{Revision: 5, Value: doc}, job: job, compared: true, want: doc, runs: []runEvidence{{
			queue: "default", number: 1, ledger: &job.Runs[0], young: true, known: true, record: contract.RunRecord{Owner: "u"}, moved: "3 4",
			unit: &contract.UnitRecord{
				Unit: "u", State: contract.Closed, Said: true, Outcome: contract.OutcomeSucceeded, OutcomeAttempt: 1, Attempts: []string{"p"},
			},
		}},
	}
}

// atWork makes the only run one that is worked at.
func (e *evidence) atWork() *runEvidence {
	r := &e.runs[0]
	r.ledger.Outcome, e.job.State = contract.OutcomeNone, contract.StateRunning
	r.unit.State, r.unit.Said, r.unit.Outcome = contract.Owned, false, contract.OutcomeNone
	return r
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(e *evidence)
		kind     contract.FindingKind // "": everything fits
		says     string
		patience time.Duration
		folded   bool
	}{
		"everything fits":              {func(*evidence) {}, "", "", 0, false},
		"at work":                      {func(e *evidence) { e.atWork() }, "", "", 0, false},
		"not compared":                 {func(e *evidence) { e.compared, e.want = false, nil }, "", "", 0, false},
		"its oldest events aged out":   {func(e *evidence) { e.trimmed, e.want = true, []byte("{}") }, "", "", 0, false},
		"a document altered":           {func(e *evidence) { e.want = []byte("{}") }, contract.DocumentDiffers, "is not what its events add up to", patience, false},
		"a stray document":             {func(e *evidence) { e.stray = true }, contract.DocumentDiffers, "at revision 5", patience, false},
		"a document removed":           {func(e *evidence) { e.entry, e.job, e.runs = stream.Entry{}, nil, nil }, contract.DocumentMissing, "has events, and no document", patience, false},
		"a document made up":           {func(e *evidence) { e.want = nil }, contract.DocumentUnknown, "the stream has no event of it", patience, false},
		"neither":                      {func(e *evidence) { *e = evidence{id: anyJob, compared: true} }, "", "", 0, false},
		"an event deleted":             {func(e *evidence) { e.lacks, e.want = 2, []byte("{}") }, contract.EventMissing, "no longer has event 2", patience, false},
		"an orphan":                    {func(e *evidence) { e.job.Orphan = true }, contract.Orphan, "nobody said", patience, false},
		"no record of the run":         {func(e *evidence) { e.runs[0].known, e.runs[0].unit = false, nil }, contract.ClaimMissing, "who owns it is gone", patience, false},
		"it may have aged out":         {func(e *evidence) { e.runs[0].known, e.runs[0].young, e.runs[0].unit = false, false, nil }, "", "", 0, false},
		"nobody worked at it yet":      {func(e *evidence) { r := e.atWork(); r.ledger.Attempts, r.known, r.unit = nil, false, nil }, "", "", 0, false},
		"no record of the unit":        {func(e *evidence) { e.runs[0].unit = nil }, contract.ClaimMissing, "unit u owns run 1", patience, false},
		"a tombstone has no unit":      {func(e *evidence) { e.runs[0].unit, e.runs[0].record = nil, contract.RunRecord{Tombstone: true} }, "", "", 0, false},
		"a record of a run unknown":    {func(e *evidence) { e.runs[0].ledger = nil }, contract.ClaimUnknown, "of which the ledger does not know", patience, true},
		"said to have failed":          {func(e *evidence) { e.runs[0].unit.Outcome = contract.OutcomeFailed }, contract.ClaimUnknown, "closed as failed, and that was said; to the ledger it is succeeded", patience, true},
		"its end is not in the ledger": {func(e *evidence) { e.runs[0].ledger.Outcome = contract.OutcomeNone }, contract.ClaimUnknown, "it is not ended", patience, true},
		"its end is not said yet":      {func(e *evidence) { r := &e.runs[0]; r.ledger.Outcome, r.unit.Said = contract.OutcomeNone, false }, "", "", 0, false},
		"a success that nobody can say": {func(e *evidence) {
			r := &e.runs[0]
			r.ledger.Outcome, r.unit.OutcomeAttempt = contract.OutcomeNone, 0
		}, "", "", 0, false},
		"worked at in silence":       {func(e *evidence) { e.atWork().ledger.Attempts = nil }, contract.ClaimUnknown, "nobody has said so", settlePatience, true},
		"its Kubernetes Job is gone": {func(e *evidence) { e.atWork().lost = true }, contract.UnitMissing, "has ended or is gone", settlePatience, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sound()
			c.change(e)
			found := e.judge()
			if c.kind == "" {
				if len(found) > 0 {
					t.Errorf("%+v", found)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("%+v", found)
			}
			f := found[0]
			if f.finding.Kind != c.kind || f.finding.JobID != anyJob || f.finding.Do == "" || f.patience != c.patience || f.folded != c.folded ||
				!strings.Contains(f.finding.Says, c.says) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// What does not fit is named only when it has stayed as it is, and the ledger has come to where it must.
func TestMemory(t *testing.T) {
	t.Parallel()
	now, of := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC), subject{job: anyJob}
	doubt := func(evidence string) []suspicion {
		return []suspicion{{finding: contract.Finding{Kind: contract.ClaimUnknown, JobID: anyJob}, evidence: evidence, patience: patience, folded: true}}
	}
	m := make(memory)
	named := func(after time.Duration) int {
		all, pending := m.findings(now.Add(after))
		if len(all)+pending > 1 {
			t.Errorf("%v and %d pending", all, pending)
		}
		return len(all)
	}
	m.judged(of, doubt("a"), now, 10, 8)
	if named(0) != 0 || named(time.Hour) != 0 {
		t.Error("named before the ledger came to event 10")
	}
	m.judged(of, doubt("a"), now.Add(time.Second), 12, 10)
	if named(time.Second) != 0 || named(patience) != 1 {
		t.Error("it must stay for its patience, counted from the first look")
	}
	m.judged(of, doubt("b"), now.Add(patience), 12, 12)
	if named(patience) != 0 || !m.waiting(now.Add(patience), now.Add(2*patience)) || m.waiting(now.Add(patience), now.Add(patience)) {
		t.Error("something moved, so patience begins anew")
	}
	m.judged(of, nil, now.Add(2*patience), 12, 12)
	if len(m) != 0 || named(time.Hour) != 0 {
		t.Error("what fits is forgotten")
	}
}

func TestMessagesMissing(t *testing.T) {
	t.Parallel()
	waiting := []contract.Job{{JobID: "a", Run: 1}, {JobID: "b", Run: 2}}
	if all := missingMessages("q", waiting, 2, suspicion{}, "do"); len(all) != 2 || all[1].finding.JobID != "b" || all[1].finding.Run != 2 || all[1].finding.Do != "do" {
		t.Errorf("%+v", all)
	}
	all := missingMessages("q", waiting, 1, suspicion{}, "do")
	if len(all) != 1 || all[0].finding.Count != 1 || len(all[0].finding.Jobs) != 2 || !strings.Contains(all[0].finding.Says, "for 1 of them") {
		t.Errorf("%+v", all)
	}
}

// Who sends a run again is the configuration's: a promise that nobody keeps would leave it waiting for ever.
func TestWhoSendsAgainIsTheConfigurations(t *testing.T) {
	t.Parallel()
	for after, says := range map[time.Duration]string{
		0: "nobody sends a run again", 5 * time.Minute: "was empty for 5m0s", time.Hour: "was empty for 1h0m0s",
	} {
		if do := sendAgain(after); !strings.Contains(do, says) || !strings.Contains(do, "`tallyman requeue JOB`") {
			t.Errorf("%s: %s", after, do)
		}
	}
}

func TestMark(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 21, 16, 0, 0, 123456789, time.UTC)
	m := mark{Created: contract.At(made), Last: 10}
	for name, c := range map[string]struct {
		info stream.Info
		says string
	}{
		"the same":   {stream.Info{Created: made, Last: 10}, ""},
		"it went on": {stream.Info{Created: made, Last: 99}, ""},
		"set back":   {stream.Info{Created: made, Last: 9}, "was set back: it ends at event 9, and had come to 10"},
		"made anew":  {stream.Info{Created: made.Add(time.Second), Last: 99}, "was made anew"},
	} {
		found := m.replaced(c.info)
		if (len(found) == 1) != (c.says != "") || len(found) == 1 && !strings.Contains(found[0].finding.Says, c.says) {
			t.Errorf("%s: %+v", name, found)
		}
	}
	if (&mark{}).replaced(stream.Info{Created: made}) != nil {
		t.Error("nothing was audited before")
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Wait: 2 * time.Hour, Most: -1, CounterLag: -1})
	for _, field := range []string{"Events", "Replay", "Ledger", "Claims", "Records", "Counter", "CounterLag", "Wait", "Most"} {
		if err == nil || !strings.Contains(err.Error(), "audit: "+field+" ") {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}
