package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// report is one with every field.
func report() contract.AuditReport {
	at := contract.At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	r := contract.AuditReport{
		V: contract.AuditVersion, At: at, AsOf: contract.AsOf{Seq: 9, Time: at}, Pending: 1, Unchecked: []string{"queue default: SQS is unavailable"},
		Remarks:  []string{"stats were not compared"},
		Looked:   contract.AuditScope{Events: 9, From: 1, Documents: 2, Claims: 4},
		Queues:   []contract.AuditQueue{{Queue: "default", Waiting: 1}},
		Clusters: []contract.AuditUnits{{Cluster: "prod-eu", At: at, Units: 1}}, Took: 0.5,
	}
	r.Account([]contract.Finding{{
		Kind: contract.EventMissing, JobID: noJob, Run: 1, Queue: "default", Unit: "u", Key: "k", Seq: 3, Jobs: []string{noJob}, Count: 1,
		Says: "it is gone", Do: "bring it back", Since: at,
	}})
	return r
}

// keep writes the report that the scheduler's leader would.
func (w *world) keep(r contract.AuditReport) {
	w.t.Helper()
	b, err := json.Marshal(&r)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.bucket(contract.BucketAudit).Put(w.t.Context(), contract.KeyReport, b); err != nil {
		w.t.Fatal(err)
	}
}

// audit sends one request for each answer of an audit.
func (w *world) audit() {
	w.t.Helper()
	w.get("/audit").want(http.StatusNotFound)
	w.keep(report())
	w.eventually("the report", func() bool { return w.get("/audit").status == http.StatusOK })
	w.get("/audit", header{"If-None-Match", w.get("/audit").header.Get("ETag")}).want(http.StatusNotModified)
	w.do("POST", "/audit", "", header{"If-None-Match", "*"}).want(http.StatusOK)
	w.server.audits.under <- struct{}{}
	w.do("POST", "/audit", "").want(http.StatusTooManyRequests)
	<-w.server.audits.under
	w.tells(contract.CheckLine{Name: "nats server", OK: true, Says: "version 2"})
	w.eventually("that all is right", func() bool { return w.get("/doctor").status == http.StatusOK })
}

// tells writes the checkup that a process would.
func (w *world) tells(lines ...contract.CheckLine) {
	w.t.Helper()
	c := contract.Checkup{V: contract.CheckupVersion, Component: "dev", Instance: "here", Version: "v1", At: contract.At(time.Now()), Lines: lines}
	b, err := json.Marshal(&c)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.bucket(contract.BucketAudit).Put(w.t.Context(), contract.CheckupKey("dev", "here"), b); err != nil {
		w.t.Fatal(err)
	}
}

func TestDoctorPutsTogetherWhatProcessesTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lines := func() (d contract.Diagnosis) {
		w.get("/doctor").into(&d)
		return d
	}
	if d := lines(); d.OK || len(d.Lines) != 4 || d.Lines[2].Component != "bridge" || !strings.Contains(d.Lines[2].Says, "no bridge has told") {
		t.Errorf("%+v", d)
	}
	w.tells(contract.CheckLine{Name: "queue default", Says: "it is gone; make it"})
	w.eventually("the line", func() bool {
		d := lines()
		return !d.OK && len(d.Lines) == 2 && d.Lines[0] == contract.CheckLine{Component: "dev", Instance: "here", Name: "queue default", Says: "it is gone; make it"}
	})
	w.tells(contract.CheckLine{Name: "queue default", OK: true, Says: "1 visible"})
	w.eventually("that it is right again", func() bool { return lines().OK })
}

func TestStatsShowTheLastAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	audited := func() *contract.Audit {
		var s contract.Stats
		w.get("/jobs/stats").want(http.StatusOK).into(&s)
		return s.Audit
	}
	if a := audited(); a != nil {
		t.Errorf("%+v", a)
	}
	before := w.get("/jobs/stats").header.Get("ETag")
	w.keep(report())
	w.eventually("the audit in the stats", func() bool {
		a := audited()
		return a != nil && a.Unaccounted == 1 && len(a.Jobs) == 1 && a.Jobs[0] == noJob && a.At == report().At
	})
	if w.get("/jobs/stats").header.Get("ETag") == before {
		t.Error("the answer has changed, its tag has not")
	}
	w.submit("", contract.StateQueued) // other stats, the same audit
	w.eventually("the job in the stats", func() bool {
		var s contract.Stats
		w.get("/jobs/stats").into(&s)
		return s.Jobs.Submitted == 1 && s.Audit != nil
	})
	r := report()
	r.V = 2
	w.keep(r) // of a later version: what is known stays
	clean := report()
	clean.Account(nil)
	w.keep(clean)
	w.eventually("an audit without findings", func() bool {
		a := w.get("/audit")
		return audited().Unaccounted == 0 && bytes.Contains(a.body, []byte(`"findings":[]`))
	})
}
