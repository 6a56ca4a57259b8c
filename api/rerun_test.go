package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// marks writes how far the scheduler is done with what failed.
func (w *world) marks(seq uint64) {
	w.t.Helper()
	info, err := w.stream.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.writeMark(contract.RerunMark{Stream: contract.StreamName(info.Created), Seq: seq})
}

func (w *world) writeMark(m contract.RerunMark) {
	w.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.bucket(contract.BucketSchedules).Put(w.t.Context(), contract.KeyRerunMark, b); err != nil {
		w.t.Fatal(err)
	}
}

// What failed before anybody asked for further runs is promised none: the scheduler will not look at it again.
func TestNoRerunIsPromisedOfThePast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) {
		o.Config.Queues[0].Types[0].Reruns = &contract.Reruns{Max: 3, Delay: contract.Duration(time.Hour), MaxDelay: contract.Duration(time.Hour)}
	})
	id := w.submit("", contract.StateQueued)
	record := contract.RunRecord{Owner: "u"}
	b, err := record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.claims.Create(t.Context(), contract.RunKey("default", id, 1), b); err != nil {
		t.Fatal(err)
	}
	w.say(id, contract.Event{Kind: contract.Failed, Reason: contract.AppExit, Source: contract.SourceProcessor})
	w.await(id, contract.StateFailed)
	promised := func(what string, want bool) {
		t.Helper()
		v := w.await(id, contract.StateFailed)
		if x := w.explain(id); (v.Rerun != nil) != want || (x.Situation == "rerun-due") != want {
			t.Errorf("%s: %+v, %s", what, v.Rerun, x.Situation)
		}
	}
	promised("nobody has ever led", false)
	info, err := w.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := info.Last // the failure is the newest event
	w.marks(last - 1)
	promised("not looked at, or waiting for its time", true)
	w.marks(last)
	promised("looked at", false)
	w.marks(last + 1000)
	promised("of a stream that was set back, where the scheduler begins at its end", false)
	w.writeMark(contract.RerunMark{Stream: "another", Seq: last})
	promised("of a stream that was made since", true)
	w.marks(last)
	w.say(id, contract.Event{Kind: contract.Queued, Source: contract.SourceScheduler})
	w.eventually("counted", func() bool { return w.server.ledger.books.asOf().Seq > last })
	promised("another word came later", false)
	w.say(id, contract.Event{Kind: contract.Failed, Reason: contract.AppExit, Source: contract.SourceBridge})
	w.eventually("counted", func() bool { return w.server.ledger.books.asOf().Seq > last+1 })
	promised("the failure was said again later", true)
	doc, err := w.server.ledger.job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	doc.Runs[0].OutcomeSeq = last // the first words stand
	if w.server.decided(t.Context(), &doc) {
		t.Error("the failure was said again later, in words that do not stand: decided")
	}
	w.marks(last + 2)
	promised("looked at again", false)
	// The successor that the scheduler has just made is promised until the books know it.
	record.Next = contract.Next{Set: true, Run: 2}
	if b, err = record.Encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.claims.Put(t.Context(), contract.RunKey("default", id, 1), b); err != nil {
		t.Fatal(err)
	}
	promised("its successor is there", true)
}

// A failed job that gets another run by itself says so, until a cancel forbids it.
func TestARerunIsShownAndCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) {
		o.Config.Queues[0].Types[0].Reruns = &contract.Reruns{Max: 3, Delay: contract.Duration(time.Hour), MaxDelay: contract.Duration(time.Hour)}
	})
	id := w.submit("", contract.StateQueued)
	record := contract.RunRecord{Owner: "unit-that-was-cut-off"}
	b, err := record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.claims.Create(t.Context(), contract.RunKey("default", id, 1), b); err != nil {
		t.Fatal(err)
	}
	w.marks(1) // what fails from here on is looked at
	w.say(id, contract.Event{Kind: contract.AttemptFailed, Attempt: 1, Reason: contract.AppExit})
	w.say(id, contract.Event{Kind: contract.Failed, Reason: contract.AppExit, Source: contract.SourceBridge})
	v := w.await(id, contract.StateFailed)
	at := contract.At(v.Runs[0].EndedAt.Add(time.Hour))
	if want := (rerunView{Run: 2, At: at, Source: contract.FromRerun, Number: 1, Most: 3}); v.Rerun == nil || *v.Rerun != want {
		t.Fatalf("%+v, want %+v", v.Rerun, want)
	}
	var x contract.Explanation
	w.get("/jobs/" + id + "/explain").want(200).into(&x)
	if x.Situation != "rerun-due" || x.Due != at || !strings.Contains(x.Sentence, "run 2 begins by itself in 60m") {
		t.Errorf("%+v", x)
	}
	// Without its task, which the stream lost before its time, nobody can make it, and nobody is promised it.
	events := w.server.events
	w.server.events = gone{w.stream}
	if v := w.await(id, contract.StateFailed); v.Rerun != nil {
		t.Errorf("without its task: %+v", v.Rerun)
	}
	w.server.events = events
	var c cancelled
	w.do("DELETE", "/jobs/"+id, "").want(202).into(&c)
	if c != (cancelled{JobID: id, Run: 1, State: contract.StateFailed}) {
		t.Errorf("%+v", c)
	}
	if v := w.await(id, contract.StateFailed); v.Rerun != nil {
		t.Errorf("after its cancel: %+v", v.Rerun)
	}
	w.get("/jobs/" + id + "/explain").want(200).into(&x)
	if x.Situation != "failed-app-exit" {
		t.Errorf("after its cancel: %s", x.Situation)
	}
	w.do("DELETE", "/jobs/"+id, "").want(409)
}
