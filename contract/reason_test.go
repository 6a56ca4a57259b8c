package contract

import (
	"slices"
	"strings"
	"testing"
)

// order is design.md's own list: the order decides between two voices, so it may not change by accident.
const order = "AppError AppExit Panic Timeout OOMKilled Evicted Preempted NodeLost DeadlineExceeded ImagePull " +
	"ConfigError StartError Deleted Lost ClaimError Expired Cancelled Unknown"

func TestReasonsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var got []string
	for i, r := range Reasons() {
		got = append(got, string(r))
		if !r.Known() || r.Rank() != i {
			t.Errorf("%s: rank %d, want %d", r, r.Rank(), i)
		}
	}
	if strings.Join(got, " ") != order {
		t.Error(got)
	}
}

func TestReasonsFromOOMKilledToLostAreOfKubernetes(t *testing.T) {
	t.Parallel()
	from, to := slices.Index(Reasons(), OOMKilled), slices.Index(Reasons(), Lost)
	for i, r := range Reasons() {
		if r.Infrastructure() != (i >= from && i <= to) {
			t.Errorf("%s: %v", r, r.Infrastructure())
		}
	}
}

func TestReasonOutsideOfTheSet(t *testing.T) {
	t.Parallel()
	for _, r := range []Reason{"", "panic", "Panic ", "Tired"} {
		if r.Known() || r.Infrastructure() || r.Rank() != len(Reasons()) {
			t.Errorf("%q is known", r)
		}
	}
}

func TestReasonsGivesACopy(t *testing.T) {
	t.Parallel()
	Reasons()[0] = "changed"
	if Reasons()[0] != AppError {
		t.Error("a caller changed the closed set")
	}
}
