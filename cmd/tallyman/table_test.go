package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// told is an event of a job, so many seconds after noon.
func told(job string, second int, kind contract.Kind, attempt int) *contract.Event {
	return &contract.Event{
		JobID: job, Kind: kind, Attempt: attempt, Run: 1, Queue: "default", Type: "probe",
		Time: contract.At(noon.Add(time.Duration(second) * time.Second)), SubmittedAt: contract.At(noon),
	}
}

func TestTableShowsWhatChanges(t *testing.T) {
	t.Parallel()
	b := newTable()
	var lines []string
	for _, e := range []*contract.Event{
		told("a", 0, contract.Submitted, 0), told("a", 1, contract.Queued, 0), told("b", 1, contract.Submitted, 0),
		told("a", 2, contract.Claimed, 1), told("a", 2, contract.Started, 1), // no change that a person sees
		told("a", 3, contract.AttemptFailed, 1), told("a", 4, contract.Claimed, 2),
		told("a", 3, contract.AttemptFailed, 1), // another voice, late
		told("a", 6, contract.Succeeded, 2), told("a", 6, contract.Started, 2),
		{Kind: contract.Noop, Unit: "u"},
	} {
		if s := b.apply(e); s != nil {
			lines = append(lines, fmt.Sprintf("%s %s %d", s.JobID, s.State, s.Attempt))
		}
	}
	want := []string{"a accepted 0", "a queued 0", "b accepted 0", "a running 1", "a retrying 1", "a running 2", "a succeeded 2"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	got := b.render(&contract.Stats{Balanced: true}, noon.Add(time.Minute), 20, 60)
	if len(got) != 5 || !strings.HasPrefix(got[3], "b ") || !strings.Contains(got[3], "1m0s") || !strings.Contains(got[4], "6s") {
		t.Errorf("%q", got)
	}
	if got := b.render(&contract.Stats{Balanced: true}, noon, 5, 60); len(got) != 5 || got[4] != "and 1 more" || len([]rune(got[0])) != 60 {
		t.Errorf("%q", got)
	}
}

func TestTableForgetsWhatEndedFirst(t *testing.T) {
	t.Parallel()
	b := newTable()
	b.apply(told("running", 0, contract.Claimed, 1))
	for n := range maxTable + 5 {
		b.apply(told(fmt.Sprint(n), 1, contract.Succeeded, 1))
	}
	if len(b.jobs) != maxTable || b.jobs["running"] == nil || b.jobs["0"] != nil || b.jobs[fmt.Sprint(maxTable+4)] == nil {
		t.Errorf("%d jobs", len(b.jobs))
	}
}

func TestDrawGoesOverWhatWasDrawn(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := draw(&out, []string{"one"}, 2); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "\x1b[2A\r\x1b[2Kone\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
