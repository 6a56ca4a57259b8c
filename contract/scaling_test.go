package contract

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func aScaling(t testing.TB) Scaling {
	t.Helper()
	first, err := ParseTime("2026-11-21T16:00:00.000Z")
	if err != nil {
		t.Fatal(err)
	}
	last, err := ParseTime("2026-11-21T16:00:09.500Z")
	if err != nil {
		t.Fatal(err)
	}
	return Scaling{
		UID: "0f9c24e8-3b1a-4d5e-8f60-718293a4b5c6", Count: 3, First: first, Last: last, Queue: "default", Severity: Warning,
		Reason: "FailedScheduling", Message: "0/1 nodes are available: 1 Insufficient cpu.", Component: "default-scheduler",
		Cluster: "prod-eu", Namespace: "jobs", Kind: KindPod, Name: "processor-default-x7k2m-p1", ObjectUID: "b0d00001",
		Unit: "7a1c5f0e-3b5d-4c1e-9b0a-2f4f6f0a9d11", ScaledJob: "processor-default",
	}
}

func TestScalingIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	most, least := aScaling(t), aScaling(t)
	least.Kind, least.Unit, least.ScaledJob, least.Message, least.Component = KindScaledJob, "", "", "", ""
	for _, s := range []Scaling{most, least} {
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := judge(t, "scaling.v1", b); err != nil {
			t.Errorf("the schema: %v\n%s", err, b)
		}
		got, err := DecodeScaling(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Errorf("(-written +read):\n%s", d)
		}
	}
	if got := most.MsgID(); got != most.UID+"/3/bridge" {
		t.Errorf("repeats are seen by %q", got)
	}
	if got := most.Subject(); got != "jobs.scaling.default.FailedScheduling" {
		t.Errorf("published on %q", got)
	}
}

func TestScalingCutsTexts(t *testing.T) {
	t.Parallel()
	s := aScaling(t)
	s.Reason, s.Message, s.Component = strings.Repeat("R", 1000), strings.Repeat("é", 10_000), strings.Repeat("c", 1000)
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := judge(t, "scaling.v1", b); err != nil {
		t.Errorf("the schema: %v", err)
	}
}

func TestScalingRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Scaling){
		"no queue": func(s *Scaling) { s.Queue = "" }, "a queue that is no token": func(s *Scaling) { s.Queue = "a.b" },
		"no count":          func(s *Scaling) { s.Count = 0 },
		"a kind of its own": func(s *Scaling) { s.Kind = "Node" }, "a pod of no unit": func(s *Scaling) { s.Unit = "" },
		"no UID": func(s *Scaling) { s.UID = "" }, "a severity of its own": func(s *Scaling) { s.Severity = "Dire" },
	} {
		s := aScaling(t)
		change(&s)
		if b, err := s.Encode(); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
	s := aScaling(t)
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"an id of another": {s.UID + "/3", s.UID + "/4"}, "another's subject": {`"subject":"b0d00001"`, `"subject":"b0d00002"`},
		"another type": {"dev.tallyman.scaling.v1", "dev.tallyman.scaling.v2"}, "no object": {`"data":{`, `"data":[{`},
	} {
		if _, err := DecodeScaling(bytes.Replace(b, []byte(change[0]), []byte(change[1]), 1)); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}
