package contract

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func daily() Schedule {
	return Schedule{
		V: ScheduleVersion, ID: "nightly", Cron: "0 2 * * *", TimeZone: "Europe/Berlin", Queue: "default", Type: "probe",
		Payload: []byte(`{ "html": "<b>", "n": 1.0 }`), Tags: []string{"team:a"}, Submitter: "alice",
		CreatedAt: At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)),
	}
}

func TestScheduleKeepsItsPayloadByteForByte(t *testing.T) {
	t.Parallel()
	want := daily()
	for range 2 { // the scheduler writes again what it has read
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeSchedule(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestScheduleThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		code Code
	}{
		"future version": {`{"v":2}`, CodeUnknownVersion},
		"no payload": {`{"v":1,"scheduleId":"a","cron":"* * * * *","queue":"q","type":"t","submitter":"s",` +
			`"createdAt":"2026-11-21T16:00:00.000Z"}`, CodeMissingField},
		"bad id": {`{"v":1,"scheduleId":"a.b"}`, CodeInvalidValue},
	} {
		if _, err := DecodeSchedule([]byte(c.body)); CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := daily()
	s.Payload = []byte(`1,"queue":"other"`)
	if _, err := s.Encode(); CodeOf(err) != CodeMalformed {
		t.Errorf("a payload that adds fields: %v", err)
	}
}
