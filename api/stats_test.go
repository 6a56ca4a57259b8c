package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

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
	for _, path := range []string{"/jobs/stats", "/jobs/stats?queue=default"} {
		w.eventually(path+" has the age of what is level", func() bool { return w.get(path).header.Get("Age") == "0" })
	}
	w.submit("", contract.StateQueued)
	w.eventually("new books", func() bool { return w.get("/jobs/stats", header{"If-None-Match", tag}).status == 200 })
}

// Books in which everything is set that can be, as after a gap and an audit, are answered as described, too.
func TestFullBooks(t *testing.T) {
	t.Parallel()
	w := newServer(t)
	at := contract.At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	full := contract.Stats{
		AsOf: contract.AsOf{Seq: 9, Time: at}, Failures: map[contract.Reason]int{contract.Timeout: 1}, Kept: contract.KeptAt(at.UnixMilli()),
		ByQueue: map[string]contract.Sum{"default": {FailedJob: 1, Failures: map[contract.Reason]int{contract.Timeout: 1}}},
		ByType:  map[string]contract.Sum{"probe": {FailedJob: 1}},
		Balance: contract.Balance{Orphans: 1, Off: 1, Gap: true, GapAt: 3, GapTo: 5, Missing: 3, Accepted: 2, Late: 1, Unknown: 1},
	}
	full.Kept.Jobs = at
	w.keep(report())
	w.run(func(ctx context.Context) error {
		if err := newBookkeeper(w.stream, w.bucket(contract.BucketJobs)).put(ctx, contract.KeyStats, full); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	var got contract.Stats
	w.eventually("all of it", func() bool {
		w.get("/jobs/stats").want(200).into(&got) // which is held to the description
		return got.AsOf.Seq == 9 && got.Audit != nil
	})
	if got.Balance != full.Balance || got.Kept != full.Kept {
		t.Errorf("%+v", got)
	}
}

func TestStatsAreRefusedByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for query, field := range map[string]string{
		"since=yesterday": "since", "until=-5m": "until", "since=1h&until=2h": "until", "step=week": "step", "queue=a.b": "queue", "from=1h": "from",
		"at=0": "at", "at=2100-01-01T00:00:00Z": "at", "at=x": "at", "since=0d": "since",
	} {
		if got := w.get("/jobs/stats?" + query).want(400).problem(); got.Errors == nil && got.Field != field || got.Errors != nil && got.Errors[0].Field != field {
			t.Errorf("%s: %+v", query, got)
		}
	}
	if got := w.get("/jobs/stats?at=1", header{"Accept", "text/event-stream"}).want(400).problem(); !strings.Contains(got.Detail, "does not change") {
		t.Errorf("%+v", got)
	}
	a := w.get("/jobs/stats?queue=default").want(200)
	w.get("/jobs/stats?queue=default", header{"If-None-Match", a.header.Get("ETag")}).want(304)
}

// A stream gives the answer at once, and again when it has changed.
func TestStatsAreFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.submit("", contract.StateQueued)
	sse := header{"Accept", "text/event-stream"}
	l := w.follow("/jobs/stats", sse)
	var last string
	for n := 0; n != 1; {
		e, ok := l.next()
		if !ok || e.event != "stats" {
			t.Fatalf("%+v", e)
		}
		var s contract.Stats
		answer{t: t, body: []byte(e.data)}.into(&s)
		n, last = s.Jobs.Submitted, e.id
		if last != fmt.Sprint(s.AsOf.Seq) {
			t.Errorf("id %s of %d", last, s.AsOf.Seq)
		}
	}
	l.close()
}

// A client that comes back is shown an audit that was made meanwhile, though the books have come no further.
func TestWhoComesBackToTheStatsMissesNoAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.submit("", contract.StateQueued)
	var s contract.Stats
	w.eventually("books at rest", func() bool {
		w.get("/jobs/stats").into(&s)
		return s.Jobs.Queued == 1
	})
	w.keep(report())
	w.eventually("an audit", func() bool { w.get("/jobs/stats").into(&s); return s.Audit != nil })
	l := w.follow("/jobs/stats", header{"Accept", "text/event-stream"}, header{"Last-Event-ID", fmt.Sprint(s.AsOf.Seq)})
	if e, ok := l.next(); !ok || e.id != fmt.Sprint(s.AsOf.Seq) || !strings.Contains(e.data, `"audit":{`) {
		t.Errorf("%+v", e)
	}
}

// With nothing going on, a window that counts back from now moves with the minutes: what is asked for again and what
// is followed are the same.
func TestFollowedStatsMoveWithTheMinutes(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	w := newWorld(t, func(o *Options) {
		o.Now = func() time.Time { return noon.Add(time.Minute - 5*time.Millisecond + time.Duration(ahead.Load())) }
	})
	for query, since := range map[string]int{"since=10m": 10, "since=1h&until=10m": 60} {
		ahead.Store(0)
		l := w.follow("/jobs/stats?"+query, header{"Accept", "text/event-stream"})
		for turn := range 3 { // the clock stands until it is moved, and nothing else happens
			var s contract.Stats
			e, ok := l.next()
			if !ok {
				t.Fatalf("%s: no answer for minute %d", query, turn)
			}
			answer{t: t, body: []byte(e.data)}.into(&s)
			if want := contract.At(noon.Add(time.Duration(turn-since) * time.Minute)); s.Window == nil || s.Window.Since != want {
				t.Errorf("%s: %+v, want since %s", query, s.Window, want)
			}
			ahead.Add(int64(time.Minute))
		}
		l.close()
	}
}

// onePast answers once it is let to, and counts.
type onePast struct {
	asked   atomic.Int64
	entered chan struct{}
	let     chan struct{}
}

func (p *onePast) At(_ context.Context, seq uint64, _ time.Time) ([]stream.Entry, error) {
	p.asked.Add(1)
	p.entered <- struct{}{}
	<-p.let
	if seq == 99 {
		return nil, contract.Errorf(contract.CodeInvalidValue, "at", "is ahead: the log has come to 5")
	}
	b, err := json.Marshal(contract.Stats{
		SucceedJob: 7, AsOf: contract.AsOf{Seq: seq}, Failures: map[contract.Reason]int{}, ByQueue: map[string]contract.Sum{}, ByType: map[string]contract.Sum{},
	})
	return []stream.Entry{{Key: contract.KeyStats, Value: b}}, err
}

func TestStatsOfThePast(t *testing.T) {
	t.Parallel()
	p := &onePast{entered: make(chan struct{}, 9), let: make(chan struct{})}
	w := newWorld(t, func(o *Options) { o.Past = p })
	first := make(chan answer, 1)
	go func() {
		defer close(first) // where the request itself fails, nothing is sent
		first <- w.get("/jobs/stats?at=3")
	}()
	select {
	case <-p.entered:
	case a := <-first:
		t.Fatalf("the past was not read: %d", a.status)
	}
	if a := w.get("/jobs/stats?at=4").want(429); a.header.Get("Retry-After") == "" {
		t.Error("when to come back is not said")
	}
	close(p.let)
	var s contract.Stats
	if (<-first).want(200).into(&s); s.SucceedJob != 7 || s.AsOf.Seq != 3 {
		t.Errorf("%+v", s)
	}
	if age := w.get("/jobs/stats?at=3").want(200).header.Get("Age"); age != "0" {
		t.Errorf("the past is %s s old", age)
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("the same past was read %d times", n)
	}
	if got := w.get("/jobs/stats?at=99").want(400).problem(); got.Field != "at" {
		t.Errorf("%+v", got)
	}
	w.get("/jobs/stats?at=10s").want(200)
}
