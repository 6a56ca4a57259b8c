package aggregator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

// of folds events of one job and gives its document.
func of(t *testing.T, events ...*contract.Event) contract.Job {
	t.Helper()
	l := newLedger(testRules)
	for i, e := range events {
		l.fold(uint64(i+1), epoch.Add(time.Hour), e)
	}
	id, _ := parseJobID(testID(1))
	var j job
	l.jobs[id].unpack(&j)
	return decoded(t, j.document(nil, id, l.queues.list, l.types.list))
}

func by(source contract.Source, reason contract.Reason, e *contract.Event) *contract.Event {
	e.Source, e.Reason = source, reason
	return e
}

// Which voice's reason stands, and whose words, whatever came first.
func TestVoicesAreJoined(t *testing.T) {
	t.Parallel()
	failed := func(source contract.Source, reason contract.Reason) *contract.Event {
		return by(source, reason, event(testID(1), 1, 1, contract.AttemptFailed, 5))
	}
	cases := []struct {
		name   string
		voices []*contract.Event
		reason contract.Reason
		infra  contract.Reason
		saidBy contract.Source
		seq    uint64
	}{
		{"Kubernetes knows that it was killed", []*contract.Event{
			failed(contract.SourceProcessor, contract.AppExit), failed(contract.SourceBridge, contract.OOMKilled),
		}, contract.OOMKilled, contract.OOMKilled, contract.SourceBridge, 2},
		{"else the processor knows best", []*contract.Event{
			failed(contract.SourceBridge, contract.AppError), failed(contract.SourceProcessor, contract.Panic),
		}, contract.Panic, "", contract.SourceProcessor, 2},
		{"a processor that speaks of Kubernetes is no Kubernetes", []*contract.Event{
			failed(contract.SourceProcessor, contract.OOMKilled), failed(contract.SourceProcessor, contract.Timeout),
		}, contract.Timeout, "", contract.SourceProcessor, 2},
		{"of two reasons of one rank the earlier in the list", []*contract.Event{
			failed(contract.SourceBridge, contract.Lost), failed(contract.SourceBridge, contract.Evicted),
		}, contract.Evicted, contract.Evicted, contract.SourceBridge, 2},
		{"of two sources of one rank the lesser", []*contract.Event{
			failed(contract.SourceScheduler, contract.Unknown), failed(contract.SourceAPI, contract.Unknown),
		}, contract.Unknown, "", contract.SourceAPI, 2},
		{"of two that say the same the first", []*contract.Event{
			failed(contract.SourceProcessor, contract.Panic), failed(contract.SourceProcessor, contract.Panic),
		}, contract.Panic, "", contract.SourceProcessor, 1},
	}
	for _, c := range cases {
		for _, voices := range [][]*contract.Event{c.voices, {c.voices[1], c.voices[0]}} {
			a := of(t, voices...).Runs[0].Attempts[0]
			if a.Reason != c.reason || a.Infrastructure != c.infra || a.SaidBy != c.saidBy {
				t.Errorf("%s: %+v", c.name, a)
			}
		}
		if a := of(t, c.voices...).Runs[0].Attempts[0]; a.EndingSeq != c.seq {
			t.Errorf("%s: words of %d, want %d", c.name, a.EndingSeq, c.seq)
		}
	}
}

// The outcome of the work and what Kubernetes saw are two fields; the processor's words of a success
// stand, for they have the result.
func TestASuccessKeepsWhatKubernetesSaw(t *testing.T) {
	t.Parallel()
	d := of(t,
		event(testID(1), 1, 0, contract.Submitted, 0),
		by(contract.SourceBridge, contract.OOMKilled, event(testID(1), 1, 1, contract.Succeeded, 5)),
		event(testID(1), 1, 1, contract.Succeeded, 6),
	)
	want := contract.JobAttempt{
		Attempt: 1, EndedAt: contract.At(epoch.Add(5 * time.Second)), Ending: contract.EndingSucceeded,
		Infrastructure: contract.OOMKilled, EndingSeq: 3, SaidBy: contract.SourceProcessor,
	}
	if diff := cmp.Diff(want, d.Runs[0].Attempts[0]); diff != "" {
		t.Error(diff)
	}
	if r := d.Runs[0]; d.State != contract.StateSucceeded || r.OutcomeSeq != 3 || r.Reason != "" || d.EndedAt != want.EndedAt {
		t.Errorf("%s, run %+v", d.State, r)
	}
}

// Where a job is, after each event of a life.
func TestStateFollowsTheHighestRun(t *testing.T) {
	t.Parallel()
	id := testID(1)
	steps := []struct {
		event  *contract.Event
		state  contract.State
		ending contract.Ending // of attempt 1 of run 1
	}{
		{event(id, 1, 0, contract.Submitted, 1), contract.StateAccepted, ""},
		{event(id, 1, 0, contract.Queued, 2), contract.StateQueued, ""},
		{event(id, 1, 1, contract.Claimed, 3), contract.StateRunning, ""},
		{event(id, 1, 2, contract.Claimed, 5), contract.StateRunning, contract.EndingSuperseded},
		{event(id, 1, 1, contract.AttemptFailed, 4), contract.StateRunning, contract.EndingFailed},
		{event(id, 1, 1, contract.AttemptDisrupted, 4), contract.StateRunning, contract.EndingDisrupted},
		{event(id, 1, 2, contract.AttemptFailed, 6), contract.StateRetrying, contract.EndingDisrupted},
		{event(id, 1, 3, contract.Started, 7), contract.StateRunning, contract.EndingDisrupted},
		{event(id, 1, 0, contract.Failed, 8), contract.StateFailed, contract.EndingDisrupted},
		{event(id, 1, 0, contract.CancelledKind, 8), contract.StateCancelled, contract.EndingDisrupted},
		{event(id, 1, 3, contract.Succeeded, 9), contract.StateSucceeded, contract.EndingDisrupted},
		{event(id, 2, 0, contract.Submitted, 10), contract.StateAccepted, contract.EndingDisrupted},
		{event(id, 1, 1, contract.Succeeded, 4), contract.StateAccepted, contract.EndingSucceeded},
		{event(id, 2, 1, contract.AttemptDisrupted, 12), contract.StateRetrying, contract.EndingSucceeded},
	}
	var all []*contract.Event
	for i, s := range steps {
		all = append(all, s.event)
		d := of(t, all...)
		var ending contract.Ending
		if len(d.Runs[0].Attempts) > 0 {
			ending = d.Runs[0].Attempts[0].Ending
		}
		if d.State != s.state || ending != s.ending {
			t.Errorf("after %d %s: %s, first attempt %q; want %s, %q", i, s.event.ID(), d.State, ending, s.state, s.ending)
		}
	}
}

// A time is the earliest that anybody gave, and never later than the stream stored the event.
func TestTimesAreTheEarliestAndNeverOfTheFuture(t *testing.T) {
	t.Parallel()
	d := of(t,
		event(testID(1), 1, 1, contract.Claimed, 9),
		event(testID(1), 1, 1, contract.Claimed, 7),
		event(testID(1), 1, 1, contract.Claimed, 8),
		event(testID(1), 1, 1, contract.Started, 7200),
	)
	a := d.Runs[0].Attempts[0]
	if a.ClaimedAt != contract.At(epoch.Add(7*time.Second)) || a.StartedAt != contract.At(epoch.Add(time.Hour)) {
		t.Errorf("claimed %s, started %s", a.ClaimedAt, a.StartedAt)
	}
	if d.UpdatedAt != a.StartedAt || !d.Orphan {
		t.Errorf("updated %s, orphan %v", d.UpdatedAt, d.Orphan)
	}
}

// A document lists a bounded number of events.
func TestEventsOfAJobAreBounded(t *testing.T) {
	t.Parallel()
	l := newLedger(testRules)
	for seq := uint64(contract.MaxJobEvents + 40); seq > 0; seq-- {
		l.fold(seq, epoch.Add(time.Hour), event(testID(1), 1, 0, contract.Queued, 1))
	}
	id, _ := parseJobID(testID(1))
	var j job
	l.jobs[id].unpack(&j)
	if len(j.events) != contract.MaxJobEvents || j.events[0] != 1 || j.more != 40 {
		t.Errorf("%d events from %d on, %d more", len(j.events), j.events[0], j.more)
	}
}
