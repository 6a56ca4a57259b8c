package contract

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ownedUnit() UnitRecord {
	return UnitRecord{
		State: Owned, Unit: "unit-1", Queue: "default", JobID: "01997d6c-5a80-7c3e-9f2a-1b2c3d4e5f60", Run: 1,
		Type: "probe", SubmittedAt: At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)), Task: []byte("task"),
		Receipt: "receipt", Attempts: []string{"pod-1", "pod-2"},
	}
}

func closedUnit() UnitRecord {
	u := ownedUnit()
	u.State, u.Outcome, u.OutcomeAttempt, u.Reason, u.ClosedAt = Closed, OutcomeFailed, 2, OOMKilled, u.SubmittedAt
	u.Message, u.Tail, u.Result, u.Said = "out of memory", "last", json.RawMessage("1"), true
	return u
}

func TestUnitRecordEncodeRefusesWhatDecodeWould(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*UnitRecord)
		want  Code
	}{
		"owned without a task":   {func(u *UnitRecord) { u.State, u.Task = Owned, nil }, CodeMissingField},
		"owned, yet an outcome":  {func(u *UnitRecord) { u.State = Owned }, CodeInvalidValue},
		"intent, yet an outcome": {func(u *UnitRecord) { u.State = Intent }, CodeInvalidValue},
		"closed without one":     {func(u *UnitRecord) { u.Outcome = OutcomeNone }, CodeMissingField},
		"closed without a time":  {func(u *UnitRecord) { u.ClosedAt = Time{} }, CodeMissingField},
		"failed without reason":  {func(u *UnitRecord) { u.Reason = "" }, CodeMissingField},
		"a 34th attempt":         {func(u *UnitRecord) { u.Attempts = make([]string, MaxAttempts+2) }, CodeTooLarge},
		"a large task":           {func(u *UnitRecord) { u.Task = make([]byte, MaxEnvelopeBytes+1) }, CodeTooLarge},
		"an open state":          {func(u *UnitRecord) { u.State = "open" }, CodeInvalidValue},
	} {
		u := closedUnit()
		c.spoil(&u)
		if _, err := u.Encode(); CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnitRecordStub(t *testing.T) {
	t.Parallel()
	whole := closedUnit()
	stub := whole.Stub()
	b, err := stub.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeUnit(b)
	if err != nil {
		t.Fatal(err)
	}
	want := closedUnit()
	want.Task, want.Receipt, want.Message, want.Tail, want.Result = nil, "", "", "", nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(closedUnit(), whole); diff != "" {
		t.Errorf("the record itself was cut: %s", diff)
	}
}

func TestUnitRecordAttemptOf(t *testing.T) {
	t.Parallel()
	u := ownedUnit()
	for pod, want := range map[string]int{"pod-1": 1, "pod-2": 2, "pod-3": 0, "": 0} {
		if got := u.AttemptOf(pod); got != want {
			t.Errorf("%q: %d, want %d", pod, got, want)
		}
	}
}

func TestRunRecordThereAndBack(t *testing.T) {
	t.Parallel()
	at := At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	for name, want := range map[string]RunRecord{
		"owned":        {Owner: "unit-1"},
		"followed":     {Owner: "unit-1", Next: Next{Set: true, Run: 2}},
		"never":        {Owner: "unit-1", Next: Next{Set: true}},
		"cancelled":    {Tombstone: true, At: at, Outcome: OutcomeCancelled},
		"expired":      {Tombstone: true, At: at, Outcome: OutcomeFailed, Reason: Expired},
		"holding next": {Tombstone: true, At: at, Next: Next{Set: true, Run: 7}},
	} {
		b, err := want.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := DecodeRun(b)
		if err != nil || got != want {
			t.Errorf("%s: %+v, want %+v: %v", name, got, want, err)
		}
	}
}

func TestRunRecordEncodeRefusesWhatDecodeWould(t *testing.T) {
	t.Parallel()
	at := At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	for name, r := range map[string]RunRecord{
		"nobody":                   {},
		"an owner and a tombstone": {Owner: "u", Tombstone: true, At: at},
		"an owner with an outcome": {Owner: "u", Outcome: OutcomeCancelled},
		"a tombstone of success":   {Tombstone: true, At: at, Outcome: OutcomeSucceeded},
		"failed, no reason":        {Tombstone: true, At: at, Outcome: OutcomeFailed},
		"no time":                  {Tombstone: true},
		"next is the first":        {Owner: "u", Next: Next{Set: true, Run: 1}},
		"next is negative":         {Owner: "u", Next: Next{Set: true, Run: -2}},
		"next is beyond":           {Owner: "u", Next: Next{Set: true, Run: MaxRun + 1}},
	} {
		if b, err := r.Encode(); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
}
