package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// A remark is told and leaves the exit code alone, unless --strict asks for it; what could not be looked at, or does not fit, makes it 1.
func TestVerifyTellsARemarkAndFailsForAFault(t *testing.T) {
	t.Parallel()
	at := contract.At(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	remark := contract.AuditReport{
		V: contract.AuditVersion, At: at, AsOf: contract.AsOf{Seq: 9, Time: at}, Findings: []contract.Finding{}, Remarks: []string{"stats were not compared"},
	}
	unchecked, found := remark, remark
	unchecked.Unchecked = []string{"queue default: SQS is away"}
	found.Account([]contract.Finding{{Kind: contract.Orphan, JobID: "j", Since: at}})
	for name, c := range map[string]struct {
		report contract.AuditReport
		code   int
		args   []string
	}{
		"a remark":           {report: remark},
		"a remark, strictly": {remark, exitBad, []string{"--strict"}},
		"a remark, and what could not be looked at": {report: unchecked, code: exitBad},
		"a remark, and a finding":                   {report: found, code: exitBad},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := json.NewEncoder(w).Encode(&c.report); err != nil {
				t.Error(err)
			}
		}))
		var out, diag bytes.Buffer
		if code := run(t.Context(), append([]string{"verify", "--server", server.URL}, c.args...), nil, &out, &diag); code != c.code || diag.Len() > 0 {
			t.Errorf("%s: code %d, %s", name, code, &diag)
		}
		if !strings.Contains(out.String(), "\nremark: stats were not compared\n") {
			t.Errorf("%s: %s", name, &out)
		}
		server.Close()
	}
}
