package contract

import (
	"encoding/json"
	"testing"
	"time"
)

func TestBooksAreReadAsWritten(t *testing.T) {
	t.Parallel()
	var s Sums
	for i := range s {
		s[i] = int64(i) - 3 // a window may hold less than nothing of a cell while its hour is rolled up
	}
	var h Histogram
	h.Add(42, 3)
	want := Book{
		V: BookVersion, Queue: "q", Type: "t", Span: Hour, At: At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)),
		Figures: Figures{Sums: s, Latency: Sketches{StageBoot: h.Sketch()}},
	}
	b, err := json.Marshal(&want)
	if err != nil {
		t.Fatal(err)
	}
	var got Book
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	if again, err := json.Marshal(&got); err != nil || string(again) != string(b) || got.Key() != want.Key() {
		t.Errorf("%s became %s (%v)", b, again, err)
	}
	if err := json.Unmarshal([]byte(`{"jobs.done":1}`), &s); err == nil {
		t.Error("a cell that nobody knows was read")
	}
}

func TestCellsHaveNames(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for i, name := range CellNames() {
		if name == "" || seen[name] {
			t.Errorf("cell %d is called %q", i, name)
		}
		seen[name] = true
	}
	for cell, name := range map[Cell]string{
		CellOfState(StateCancelled): "jobs.cancelled", CellSucceedJob: "succeedJob", CellSecond: "attempts.second",
		CellWasteKnown: "wasteKnown", CellClaimFailed: "units.claimFailed", CellReason: "failures.AppError",
		CellReason + Cell(Unknown.Rank()): "failures.Unknown",
	} {
		if CellNames()[cell] != name {
			t.Errorf("cell %d is called %s, not %s", cell, CellNames()[cell], name)
		}
	}
}

// Whatever is kept at one time has a key of its own, each span's windows lie within the next longer one's,
// and floors are where those begin.
func TestWindowsThatAreKeptHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 23, 59, 59, 0, time.UTC).UnixMilli()
	for i, s := range Spans() {
		keys := make(map[string]int64)
		for at := s.Begin(s.Floor(now)); at <= now; at += s.Length().Milliseconds() {
			key := WindowKey(s, at, "q", "t")
			if before, taken := keys[key]; taken {
				t.Fatalf("%s: %d and %d share %s", s, before, at, key)
			}
			keys[key] = at
		}
		if s.Floor(now) != s.Begin(s.Floor(now)) {
			t.Errorf("%s: the floor is no beginning", s)
		}
		if i+1 < len(Spans()) {
			if longer := Spans()[i+1]; longer.Begin(s.Floor(now)) != s.Floor(now) {
				t.Errorf("%s: the floor is not where a %s begins", s, longer)
			}
		}
	}
	if Span("week").Known() || !Day.Known() {
		t.Error("the set of spans is another")
	}
}

func TestSumsByName(t *testing.T) {
	t.Parallel()
	var one, two, none Sums
	one[CellOfState(StateQueued)], two[CellOfState(StateFailed)], two[CellFailedJob] = 1, 2, 5
	none[CellNoop] = 4
	got := SumsBy(func(yield func(string, *Sums) bool) {
		_ = yield("a", &one) && yield("a", &two) && yield("b", &none)
	})
	if a := got["a"]; len(got) != 1 || a.Jobs.Submitted != 3 || a.Jobs.Failed != 2 || a.FailedJob != 5 {
		t.Errorf("%+v", got)
	}
}

// A name is left out only where all that would be shown of it is 0, whatever a window holds beside no job.
func TestSumsByNameLeaveOutNothingThatShows(t *testing.T) {
	t.Parallel()
	nothing := wire(t, new(Sums).Sum())
	for c, name := range CellNames() {
		var one Sums
		one[c] = 1
		got := SumsBy(func(yield func(string, *Sums) bool) { yield("a", &one) })
		if _, told := got["a"]; told != (wire(t, one.Sum()) != nothing) {
			t.Errorf("%s alone: told %v, and it shows %s", name, told, wire(t, one.Sum()))
		}
	}
}

func wire(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
