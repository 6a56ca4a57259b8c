package explain

import (
	"fmt"
	"strings"
	"time"

	"tallyman/contract"
)

// rerunRows are a job that has failed and gets another run by itself: they stand before why it failed, and say
// that too. They are never written to.
var rerunRows = [...]row{
	{
		name:  "rerun-due",
		holds: func(f *Facts) bool { return f.FollowUp != nil },
		says: func(f *Facts) string {
			u, asked := f.FollowUp, fmt.Sprintf("rerun %d of at most %d in a row", f.FollowUp.Number, f.FollowUp.Most)
			if u.Source == contract.FromRecovery {
				asked = fmt.Sprintf("recovery %d of at most %d in a row", u.Number, u.Most)
			}
			return fmt.Sprintf("%s; run %d begins by itself %s: %s.", f.whyFailed(), u.After+1, f.in(u.At.Time), asked)
		},
		next: func(f *Facts) []string {
			steps := []string{
				"Run it at once: `tallyman requeue " + f.Job.JobID + "`.",
				"Leave it failed: `tallyman cancel " + f.Job.JobID + "`.",
			}
			if f.Now.Sub(f.FollowUp.At.Time) > time.Minute {
				return append([]string{"Look after the scheduler: it should have made the run by now."}, steps...)
			}
			return steps
		},
		due: func(f *Facts) time.Time { return f.FollowUp.At.Time },
	},
}

// whyFailed is what would be said of the job if it got no other run.
func (f *Facts) whyFailed() string {
	for _, r := range endedRows {
		if r.holds(f) {
			return strings.TrimSuffix(r.says(f), ".")
		}
	}
	return "The job failed"
}
