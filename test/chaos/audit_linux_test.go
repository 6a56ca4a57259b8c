package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"tallyman/contract"
)

// audit lets the api hold the books to the stream, to SQS, to claims and to Kubernetes, as `tallyman verify`
// does, until nothing may be under way any more: at rest everything is accounted for, but for what the plan itself
// took off the stream, which an audit must miss.
func (l *load) audit() {
	l.w.t.Helper()
	var r contract.AuditReport
	l.w.await("an audit that is certain", func() (err error) {
		if r, err = l.askAudit(); err != nil {
			return err
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
		l.w.t.Error(finding(&r, f))
	}
	if r.Unaccounted != trimmed || trimmed == 0 && (!r.Clean() || l.w.trimmed > 0) {
		l.w.t.Errorf("the audit as of %d: %d are unaccounted for", r.AsOf.Seq, r.Unaccounted)
	}
}

func (l *load) askAudit() (r contract.AuditReport, err error) {
	status, b, err := l.ask(l.w.t.Context(), http.MethodPost, "http://"+l.w.at("api")+"/audit", "", nil)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil || status != http.StatusOK {
		return r, fmt.Errorf("POST /audit: %d %s: %w", status, b, err)
	}
	return r, nil
}

func finding(r *contract.AuditReport, f *contract.Finding) string {
	return fmt.Sprintf("the audit as of %d: %s: %s (%v)", r.AsOf.Seq, f.Kind, f.Says, f.Jobs)
}

// auditPatience is how long what does not end is audited: something is believed when it has stayed for a while.
const auditPatience = 10 * time.Second

// tell gives what is known of a job that does not end: what was said of it, and what an audit finds of everything.
func (l *load) tell(p *promise) string {
	history := l.history(p.id)
	said := "what was said of job " + p.id + ":\n" + history
	if regexp.MustCompile(fmt.Sprintf(`%s/%d/\d+/(succeeded|failed|cancelled) `, p.id, p.runs)).MatchString(history) {
		said += fmt.Sprintf("the end of run %d of job %s was said, and the books do not have it\n", p.runs, p.id)
	}
	r, err := l.askAudit()
	for began := time.Now(); (err != nil || r.Pending > 0) && time.Since(began) < auditPatience; r, err = l.askAudit() {
		pause(l.w.t.Context(), time.Second)
	}
	if err != nil {
		return said + err.Error()
	}
	for i := range r.Findings {
		said += finding(&r, &r.Findings[i]) + "\n"
	}
	return said
}
