package contract

import (
	"fmt"
	"testing"
)

func TestAuditReportCountsEachThingOnce(t *testing.T) {
	t.Parallel()
	const a, b = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
	var r AuditReport
	r.Account([]Finding{
		{Kind: DocumentDiffers, JobID: a}, {Kind: ClaimMissing, JobID: a}, {Kind: MessageMissing, Queue: "q", Count: 3, Jobs: []string{a, b}},
		{Kind: StatsDiffer, Key: KeyStats},
	})
	if r.Unaccounted != 5 || len(r.Findings) != 4 || r.More != 0 || r.Clean() {
		t.Errorf("%+v", r)
	}
	if s := r.Summary(); s.Unaccounted != 5 || len(s.Jobs) != 2 || s.Jobs[0] != a || s.Jobs[1] != b {
		t.Errorf("%+v", s)
	}
	var many []Finding
	for n := range MaxFindings + 20 {
		many = append(many, Finding{Kind: Orphan, JobID: fmt.Sprint(n)})
	}
	r.Account(many)
	if r.Unaccounted != len(many) || len(r.Findings) != MaxFindings || r.More != 20 || len(r.Summary().Jobs) != MaxAuditJobs {
		t.Errorf("%d %d %d", r.Unaccounted, len(r.Findings), r.More)
	}
	if r.Account(nil); !r.Clean() || r.Findings == nil || r.Unaccounted != 0 {
		t.Errorf("%+v", r)
	}
	if r.Remarks = []string{"the log is too long"}; !r.Clean() {
		t.Error("a remark is taken for a fault")
	}
	r.Unchecked = []string{"a queue"}
	if r.Clean() {
		t.Error("what was not looked at is not clean")
	}
}

func TestKeysOfRunsAreReadBack(t *testing.T) {
	t.Parallel()
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	if queue, job, run, ok := RunOfKey(RunKey("default", id, 12)); !ok || queue != "default" || job != id || run != 12 {
		t.Errorf("%s %s %d %v", queue, job, run, ok)
	}
	for _, key := range []string{UnitKey("default", "u"), ClusterKey("c"), "default.run." + id, "default.run." + id + ".x", "default.run." + id + ".0", "a.b.run.c"} {
		if _, _, _, ok := RunOfKey(key); ok {
			t.Errorf("%s is no run's", key)
		}
	}
}
