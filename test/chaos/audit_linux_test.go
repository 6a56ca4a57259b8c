package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"

	"tallyman/contract"
)

// audit lets the api hold the books to the stream, to SQS, to claims and to Kubernetes, as `tallyman verify`
// does, until nothing may be under way any more: at rest everything is accounted for, but for what the plan itself
// took off the stream, which an audit must miss.
func (l *load) audit() {
	l.w.t.Helper()
	var r contract.AuditReport
	l.w.await("an audit that is certain", func() error {
		status, b, err := l.ask(l.w.t.Context(), http.MethodPost, "http://"+l.w.at("api")+"/audit", "", nil)
		if err != nil {
			return err
		}
		r = contract.AuditReport{}
		if err := json.Unmarshal(b, &r); err != nil || status != http.StatusOK {
			return fmt.Errorf("POST /audit: %d %s: %w", status, b, err)
		}
		if r.Pending > 0 || len(r.Unchecked) > 0 {
			return fmt.Errorf("%d are pending, not looked at: %q", r.Pending, r.Unchecked)
		}
		return nil
	})
	trimmed := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Kind == contract.EventMissing && f.Seq > 0 && f.Seq <= l.w.trimmed {
			trimmed++
			continue
		}
		l.w.t.Errorf("the audit as of %d: %s: %s (%v)", r.AsOf.Seq, f.Kind, f.Says, f.Jobs)
	}
	if r.Unaccounted != trimmed || trimmed == 0 && (!r.Clean() || l.w.trimmed > 0) {
		l.w.t.Errorf("the audit as of %d: %d are unaccounted for", r.AsOf.Seq, r.Unaccounted)
	}
}
