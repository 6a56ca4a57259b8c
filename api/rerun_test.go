package api

import (
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

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
