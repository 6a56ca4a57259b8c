package api

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

func TestScheduleLife(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 16, 0, 30, 0, time.UTC)
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return now } })
	a := w.do("POST", "/jobs/schedule", `{"syntax":"* * * * *","timeZone":"Europe/Berlin","type":"probe","payload":{"a":1},"tags":["x"],"timeoutSeconds":5}`, header{"X-Submitter", "me"}).want(201)
	var s scheduleView
	a.into(&s)
	if a.header.Get("Location") != "/schedules/"+s.ScheduleID || s.NextRun.String() != "2026-11-21T16:01:00.000Z" || s.Cron != "* * * * *" || s.Submitter != "me" {
		t.Errorf("%+v", s)
	}
	e, err := w.bucket(contract.BucketSchedules).Get(t.Context(), s.ScheduleID)
	if err != nil {
		t.Fatal(err)
	}
	var record contract.Schedule
	if err := json.Unmarshal(e.Value, &record); err != nil || record.V != 1 || record.ID != s.ScheduleID || string(record.Payload) != `{"a":1}` {
		t.Errorf("%+v, %v", record, err)
	}
	var list struct{ Schedules []scheduleView }
	w.get("/schedules").want(200).into(&list)
	if len(list.Schedules) != 1 || list.Schedules[0].Payload != nil || list.Schedules[0].ScheduleID != s.ScheduleID {
		t.Errorf("%+v", list)
	}
	var one scheduleView
	w.get("/schedules/" + s.ScheduleID).want(200).into(&one)
	if string(one.Payload) != `{"a":1}` {
		t.Errorf("%+v", one)
	}
	w.do("DELETE", "/schedules/"+s.ScheduleID, "").want(204)
	w.get("/schedules/" + s.ScheduleID).want(404)
	w.get("/schedules").into(&list)
	if len(list.Schedules) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestBadSchedules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for body, want := range map[string]struct {
		code  contract.Code
		field string
	}{
		``:                   {contract.CodeMissingField, "cron"},
		`{}`:                 {contract.CodeMissingField, "cron"},
		`{"cron":""}`:        {contract.CodeInvalidValue, "cron"},
		`{"cron":5}`:         {contract.CodeWrongType, "cron"},
		`{"cron":"* * *"}`:   {contract.CodeInvalidValue, "cron"},
		`{"syntax":"* * *"}`: {contract.CodeInvalidValue, "syntax"},
		`{"cron":"` + strings.Repeat("*", 257) + `"}`:       {contract.CodeInvalidValue, "cron"},
		`{"cron":"* * * * *","syntax":"* * * * *"}`:         {contract.CodeInvalidValue, "syntax"},
		`{"cron":"* * * * *","timeZone":"Local"}`:           {contract.CodeInvalidValue, "timeZone"},
		`{"cron":"* * * * *","timeZone":"../etc/passwd"}`:   {contract.CodeInvalidValue, "timeZone"},
		`{"cron":"* * * * *","timeZone":"Mars/Base"}`:       {contract.CodeInvalidValue, "timeZone"},
		`{"cron":"* * * * *","queue":"nope"}`:               {contract.CodeUnknownQueue, "queue"},
		`{"cron":"* * * * *","type":"person","payload":{}}`: {contract.CodeInvalidPayload, "payload"},
		`{"cron":"* * * * *","delaySeconds":1}`:             {contract.CodeInvalidValue, "delaySeconds"},
	} {
		if p := w.do("POST", "/jobs/schedule", body).want(400).problem(); p.Code != want.code || p.Field != want.field {
			t.Errorf("%.80s: %+v", body, p)
		}
	}
	if entries, err := w.bucket(contract.BucketSchedules).List(t.Context(), ">"); err != nil || len(entries) > 0 {
		t.Errorf("stored all the same: %d, %v", len(entries), err)
	}
}

// The scheduler writes each tick: a deletion that loses against it is tried again.
func TestDeleteAgainstTicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var s scheduleView
	w.do("POST", "/jobs/schedule", `{"cron":"* * * * *"}`).want(201).into(&s)
	w.server.store = &contested{ScheduleStore: w.server.store, losses: 3}
	w.do("DELETE", "/schedules/"+s.ScheduleID, "").want(204)
	w.do("POST", "/jobs/schedule", `{"cron":"* * * * *"}`).want(201).into(&s)
	w.server.store = &contested{ScheduleStore: w.server.store, losses: 1000}
	w.do("DELETE", "/schedules/"+s.ScheduleID, "").want(503)
}

type contested struct {
	ScheduleStore
	losses int
}

func (c *contested) Delete(ctx context.Context, key string, revision uint64) error {
	if c.losses--; c.losses >= 0 {
		return stream.ErrConflict
	}
	return c.ScheduleStore.Delete(ctx, key, revision)
}
