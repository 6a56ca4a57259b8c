package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// gone is a stream that no longer has any event.
type gone struct{ *stream.Stream }

func (gone) Event(context.Context, uint64) (stream.Stored, error) {
	return stream.Stored{}, stream.ErrNotFound
}

// Pages of any size, with any filter, give every document once, newest first.
func TestPagesGiveEverythingOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, err := openIndex("")
		if err != nil {
			t.Fatal(err)
		}
		defer x.close()
		var all []contract.Job
		var batch []change
		for i := range rapid.IntRange(0, 40).Draw(t, "jobs") {
			job := contract.Job{
				JobID:       fmt.Sprintf("%08d-0000-0000-0000-000000000000", i),
				SubmittedAt: contract.AtMilli(int64(1 + rapid.IntRange(0, 5).Draw(t, "ms"))),
				State:       rapid.SampledFrom(contract.States()).Draw(t, "state"),
				Queue:       rapid.SampledFrom([]string{"a", "b"}).Draw(t, "queue"),
				Type:        rapid.SampledFrom([]string{"c", "d"}).Draw(t, "type"),
				UpdatedAt:   contract.AtMilli(9),
			}
			all, batch = append(all, job), append(batch, changeOf(t, job))
		}
		if err := x.apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		q := query{
			state: rapid.SampledFrom([]string{"", "queued"}).Draw(t, "by state"), queue: rapid.SampledFrom([]string{"", "a"}).Draw(t, "by queue"),
			jobType: rapid.SampledFrom([]string{"", "c"}).Draw(t, "by type"), limit: rapid.IntRange(1, 10).Draw(t, "limit"),
		}
		var want, got []string
		slices.SortFunc(all, func(a, b contract.Job) int {
			return or(b.SubmittedAt.Compare(a.SubmittedAt.Time), strings.Compare(b.JobID, a.JobID))
		})
		for _, job := range all {
			if (q.state == "" || q.state == string(job.State)) && (q.queue == "" || q.queue == job.Queue) && (q.jobType == "" || q.jobType == job.Type) {
				want = append(want, job.JobID)
			}
		}
		for {
			docs, err := x.page(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				var job contract.Job
				if err := json.Unmarshal(d, &job); err != nil {
					t.Fatal(err)
				}
				got = append(got, job.JobID)
				c, ok := parseCursor(cursor{job.SubmittedAt.UnixMilli(), job.JobID}.String())
				if !ok {
					t.Fatal("a cursor that cannot be read back")
				}
				q.after = c
			}
			if len(docs) < q.limit {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func changeOf(t interface{ Fatal(...any) }, job contract.Job) change {
	doc, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return change{id: job.JobID, doc: doc, row: row{job.State, job.Queue, job.Type, job.SubmittedAt}}
}

func TestListOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for range 5 {
		ids = append(ids, w.submit("", contract.StateQueued))
	}
	slices.Reverse(ids)
	var got []string
	for path := "/jobs?limit=2"; path != ""; {
		var page jobPage
		w.get(path).want(200).into(&page)
		for _, j := range page.Jobs {
			got = append(got, j.JobID)
		}
		if path = ""; page.Next != "" {
			path = "/jobs?limit=2&cursor=" + page.Next
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("got %v, want %v", got, ids)
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=201": "limit", "limit=x": "limit", "state=done": "state", "queue=a.b": "queue", "type=": "type",
		"cursor=zz": "cursor", "cursor=" + cursor{1, "x"}.String(): "cursor", "stat=failed": "stat", "limit=1&limit=2": "limit",
	} {
		if p := w.get("/jobs?" + query).want(400).problem(); p.Field != field || p.Code != contract.CodeInvalidValue {
			t.Errorf("%s: %+v", query, p)
		}
	}
	for query, want := range map[string]int{"state=queued": 5, "state=failed": 0, "type=process-data&queue=default": 5, "queue=media": 0} {
		var page jobPage
		w.get("/jobs?" + query).want(200).into(&page)
		if len(page.Jobs) != want {
			t.Errorf("%s: %d jobs", query, len(page.Jobs))
		}
	}
}

// The index is disposable: what a file held before is of no account.
func TestIndexIsMadeAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a%b?c#d.db")
	job := contract.Job{JobID: noJob, State: contract.StateQueued, SubmittedAt: contract.AtMilli(1), UpdatedAt: contract.AtMilli(1)}
	for range 2 {
		x, err := openIndex(path)
		if err != nil {
			t.Fatal(err)
		}
		if doc, err := x.get(t.Context(), noJob); err != nil || doc != nil {
			t.Fatalf("%s, %v", doc, err)
		}
		if err := x.apply(t.Context(), []change{changeOf(t, job)}); err != nil {
			t.Fatal(err)
		}
		if doc, err := x.get(t.Context(), noJob); err != nil || doc == nil {
			t.Fatalf("%s, %v", doc, err)
		}
		x.close()
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if _, err := openIndex(filepath.Join(t.TempDir(), "no", "folder", "x.db")); err == nil {
		t.Error("an index in a folder that is not there")
	}
}

func TestIndexFollowsChanges(t *testing.T) {
	t.Parallel()
	x, err := openIndex(filepath.Join(t.TempDir(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	job := contract.Job{JobID: noJob, State: contract.StateQueued, Queue: "q", Type: "t", SubmittedAt: contract.AtMilli(1), UpdatedAt: contract.AtMilli(1)}
	for _, state := range []contract.State{contract.StateQueued, contract.StateRunning, contract.StateSucceeded} {
		job.State = state
		if err := x.apply(t.Context(), []change{changeOf(t, job)}); err != nil {
			t.Fatal(err)
		}
		for _, other := range contract.States() {
			docs, err := x.page(t.Context(), query{state: string(other), limit: 9})
			if err != nil || (len(docs) == 1) != (other == state) {
				t.Errorf("%s: %d of %s, %v", state, len(docs), other, err)
			}
		}
	}
	if err := x.apply(t.Context(), []change{{id: noJob}}); err != nil {
		t.Fatal(err)
	}
	if docs, err := x.page(t.Context(), query{limit: 9}); err != nil || len(docs) > 0 {
		t.Errorf("%d left, %v", len(docs), err)
	}
}

// replay is a bucket that hands over entries, says that it is loaded, and stays.
type replay []stream.Entry

func (r replay) Watch(ctx context.Context, _ string, fn func(stream.Entry) error, loaded func() error) error {
	for _, e := range r {
		if err := fn(e); err != nil {
			return err
		}
	}
	if err := loaded(); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestLedgerReadsTheBucket(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	x, err := openIndex("")
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	l := newLedger(slog.New(slog.NewJSONHandler(&logged, nil)), x, newBells())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	const a, b, c = noJob, "01890a5d-ac96-774b-bcce-b302099a8001", "01890a5d-ac96-774b-bcce-b302099a8002"
	doc := func(id, state string) stream.Entry {
		return stream.Entry{Key: contract.JobKey(id), Value: []byte(`{"v":1,"jobId":"` + id + `","state":"` + state + `","submittedAt":"2026-01-01T00:00:00.000Z"}`)}
	}
	go func() {
		done <- l.run(ctx, replay{
			doc(a, "queued"), doc(b, "queued"), doc(a, "running"), {Key: contract.JobKey(b), Deleted: true},
			{Key: contract.JobKey(c), Value: []byte("not a document")}, {Key: contract.KeyCheckpoint, Value: []byte("x")},
			{Key: contract.KeyStats, Value: []byte(`{"succeedJob":1}`)},
		})
	}()
	<-l.loaded
	if job, err := l.job(ctx, a); err != nil || job.State != contract.StateRunning {
		t.Errorf("%+v, %v", job, err)
	}
	for _, id := range []string{b, c} {
		if _, err := l.job(ctx, id); !isNotFound(err) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if string(l.books.Load().body) != `{"succeedJob":1}` {
		t.Errorf("books %s", l.books.Load().body)
	}
	if !strings.Contains(logged.String(), contract.JobKey(c)) {
		t.Errorf("the document that cannot be read is not named: %s", logged.String())
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLRUKeepsItsBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLRU[int, int](100)
		held := make(map[int]int)
		for range rapid.IntRange(0, 50).Draw(t, "puts") {
			key, cost := rapid.IntRange(0, 9).Draw(t, "key"), rapid.IntRange(0, 120).Draw(t, "cost")
			l.put(key, cost, cost)
			held[key] = cost
		}
		used := 0
		for key, cost := range held {
			if got, ok := l.get(key); ok {
				used += cost
				if got != cost {
					t.Fatalf("key %d: %d, want %d", key, got, cost)
				}
			}
		}
		if used != l.used || used > 100 || l.order.Len() != len(l.at) {
			t.Fatalf("used %d, says %d", used, l.used)
		}
	})
}

func TestBellsRingOnce(t *testing.T) {
	t.Parallel()
	b := newBells()
	rings, takeDown := b.hang("a")
	other, takeDownOther := b.hang("b")
	b.ring("a")
	b.ring("a")
	<-rings
	select {
	case <-rings:
		t.Error("rang twice")
	case <-other:
		t.Error("rang for another")
	default:
	}
	takeDown()
	takeDownOther()
	if len(b.all) > 0 {
		t.Error("bells are left hanging")
	}
}

func TestFreshBooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.get("/jobs/stats").want(200)
	if !strings.HasPrefix(string(a.body), `{"succeedJob":0,"jobRetry":0,"failedJob":0,`) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s", a.header.Get("Content-Type"), a.body)
	}
	tag := a.header.Get("ETag")
	for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if a := w.get("/jobs/stats", header{"If-None-Match", match}).want(304); a.header.Get("ETag") != tag {
			t.Errorf("%s: ETag %s", match, a.header.Get("ETag"))
		}
	}
	w.get("/jobs/stats", header{"If-None-Match", `"x"`}).want(200)
	w.submit("", contract.StateQueued)
	w.eventually("new books", func() bool { return w.get("/jobs/stats", header{"If-None-Match", tag}).status == 200 })
}

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
