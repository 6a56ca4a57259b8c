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

// A repeat with the same key is answered with the one schedule that there is, whatever became of the first answer.
func TestScheduleKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"cron":"* * * * *","payload":{"a": 1},"tags":["x"]}`
	key := header{"Idempotency-Key", "nightly"}
	var first, again scheduleView
	a := w.do("POST", "/jobs/schedule", body, key).want(201)
	a.into(&first)
	b := w.do("POST", "/jobs/schedule", body, key).want(201)
	if b.into(&again); first.ScheduleID != contract.ScheduleKeyID("api", "nightly") || again.ScheduleID != first.ScheduleID ||
		again.CreatedAt != first.CreatedAt || a.header.Get("Location") != b.header.Get("Location") {
		t.Errorf("%+v, then %+v", first, again)
	}
	for _, other := range []string{
		`{"cron":"* * * * *"}`, `{"cron":"* * * * *","payload":{"a": 1}}`, `{"cron":"* * * * *","payload":{"a": 1},"tags":["x"],"timeZone":"Europe/Berlin"}`,
		`{"cron":"* * * * *","payload":{"a": 1},"tags":["x"],"type":"probe"}`, `{"cron":"* * * * *","payload":{"a": 1},"tags":["x"],"timeoutSeconds":9}`,
	} {
		if p := w.do("POST", "/jobs/schedule", other, key).want(409).problem(); p.Code != contract.CodeConflict || p.Field != "Idempotency-Key" {
			t.Errorf("%s: %+v", other, p)
		}
	}
	w.do("POST", "/jobs/schedule", body, key, header{"X-Submitter", "me"}).want(201).into(&again)
	if again.ScheduleID == first.ScheduleID {
		t.Error("two submitters, one schedule")
	}
	w.do("DELETE", "/schedules/"+again.ScheduleID, "").want(204)
	if entries, err := w.bucket(contract.BucketSchedules).List(t.Context(), ">"); err != nil || len(entries) != 1 {
		t.Errorf("%d schedules, %v", len(entries), err)
	}
	w.do("POST", "/jobs/schedule", body, header{"Idempotency-Key", ""}).want(400)
	// What was deleted is made again: its key is free.
	w.do("DELETE", "/schedules/"+first.ScheduleID, "").want(204)
	w.do("POST", "/jobs/schedule", body, key).want(201).into(&again)
	w.get("/schedules/" + first.ScheduleID).want(200)
	// A repeat at the same time as the first loses the race, and is answered all the same.
	w.server.store = &overtaken{w.server.store}
	w.do("POST", "/jobs/schedule", body, header{"Idempotency-Key", "hourly"}).want(201).into(&again)
	if again.ScheduleID != contract.ScheduleKeyID("api", "hourly") {
		t.Errorf("%+v", again)
	}
}

// overtaken lets somebody else be faster.
type overtaken struct{ ScheduleStore }

func (o *overtaken) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if _, err := o.ScheduleStore.Create(ctx, key, value); err != nil {
		return 0, err
	}
	return 0, stream.ErrConflict
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

// What was made or deleted here shows at once, and what the watch tells late of it changes nothing.
func TestScheduleListIsNotSetBackByTheWatch(t *testing.T) {
	t.Parallel()
	s := newSchedules()
	r := contract.Schedule{V: 1, ID: "a"}
	value, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	tell := func(revision uint64, deleted bool) {
		t.Helper()
		if err := s.take(stream.Entry{Key: r.ID, Value: value, Revision: revision, Deleted: deleted}); err != nil {
			t.Fatal(err)
		}
	}
	s.made(r, 5)
	if s.count() != 1 || len(s.list()) != 1 {
		t.Error("what was made does not show")
	}
	s.deleted(r.ID)
	tell(5, false) // that it was made
	tell(6, false) // that it fired
	if len(s.list()) != 0 {
		t.Error("what was deleted shows again")
	}
	tell(7, true)
	if s.count() != 0 {
		t.Error("it is kept for ever")
	}
	s.made(r, 5) // the watch was faster than the answer
	if s.count() != 0 {
		t.Error("what is gone was made again")
	}
	s.made(r, 8)
	s.deleted(r.ID)
	s.made(r, 10) // with the same key, and so the same id
	tell(9, true)
	if len(s.list()) != 1 {
		t.Error("what was made anew does not show")
	}
}
