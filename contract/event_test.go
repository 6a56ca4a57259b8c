package contract

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func panicked() Event {
	code := 101
	at := At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	return Event{
		Kind: AttemptFailed, Source: SourceProcessor, Time: at, Queue: "default", Type: "probe",
		JobID: "01997d6c-5a80-7c3e-9f2a-1b2c3d4e5f60", Run: 1, Attempt: 2, SubmittedAt: at,
		Unit: "unit-1", Pod: "pod-1", Reason: Panic, ExitCode: &code, Message: "<it & he> said \"no\"", Tail: "last\n",
		Result: json.RawMessage(`{"a":[1,"<"]}`), DurationMS: 12,
	}
}

func TestEventThereAndBack(t *testing.T) {
	t.Parallel()
	want := panicked()
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b) // what was decoded must not share the message
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEventCutsItsTexts(t *testing.T) {
	t.Parallel()
	e := panicked()
	e.Message, e.Tail = strings.Repeat("é", MaxMessageBytes), "\xff"+strings.Repeat("é", MaxTailBytes)
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEvent(b)
	if err != nil || len(got.Message) > MaxMessageBytes || len(got.Tail) != MaxTailBytes {
		t.Errorf("%d %d %v", len(got.Message), len(got.Tail), err)
	}
}

func TestEventEncodeRefusesWhatDecodeWould(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*Event)
		want  Code
	}{
		"no kind":         {func(e *Event) { e.Kind = "" }, CodeUnknownVersion},
		"no source":       {func(e *Event) { e.Source = "" }, CodeMissingField},
		"no reason":       {func(e *Event) { e.Reason = "" }, CodeMissingField},
		"no attempt":      {func(e *Event) { e.Attempt = 0 }, CodeMissingField},
		"an attempt":      {func(e *Event) { e.Kind = Failed }, CodeInvalidValue},
		"no task":         {func(e *Event) { e.Kind, e.Attempt, e.Task = Submitted, 0, []byte{} }, CodeMissingField},
		"a queue's dot":   {func(e *Event) { e.Queue = "a.b" }, CodeInvalidValue},
		"a large result":  {func(e *Event) { e.Result = quoted(MaxResultBytes + 1) }, CodeTooLarge},
		"no unit":         {func(e *Event) { e.Kind, e.Attempt, e.Unit = Noop, 0, "" }, CodeMissingField},
		"a wrong job":     {func(e *Event) { e.JobID = "j" }, CodeInvalidValue},
		"the 34th":        {func(e *Event) { e.Attempt = MaxAttempts + 2 }, CodeInvalidValue},
		"a negative time": {func(e *Event) { e.DurationMS = -1 }, CodeInvalidValue},
	} {
		e := panicked()
		c.spoil(&e)
		if b, err := e.Encode(); CodeOf(err) != c.want {
			t.Errorf("%s: %v %s", name, err, b)
		}
	}
	e := panicked()
	e.Result = json.RawMessage(`{"a":`)
	if _, err := e.Encode(); err == nil {
		t.Error("a result that is not JSON was encoded")
	}
}

// TestEqualResultsAreEqualBytes: the fold breaks ties by bytes, so spelling must not decide.
func TestEqualResultsAreEqualBytes(t *testing.T) {
	t.Parallel()
	var want []byte
	for _, result := range []string{`{"a":[1,2]}`, ` { "a" : [ 1 , 2 ] } `, "{\"a\":\n[1,\t2]}"} {
		e := panicked()
		e.Result = json.RawMessage(result)
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = b
		}
		if string(b) != string(want) {
			t.Errorf("%s\n%s", b, want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, k := range append(Kinds(), Noop, Duplicate, Rejected, ClaimFailed) {
		if !k.Known() {
			t.Errorf("%s is not known", k)
		}
		if k.OfUnit() && (k.OfRun() || k.Ends()) {
			t.Errorf("%s is of a unit and of a job", k)
		}
	}
	for _, k := range Kinds() {
		if k.OfUnit() {
			t.Errorf("%s is a fact of a job", k)
		}
	}
	for _, k := range []Kind{"", "Submitted", "exploded", "started "} {
		if k.Known() {
			t.Errorf("%q is known", k)
		}
	}
}

func TestCutText(t *testing.T) {
	t.Parallel()
	fine := func(s string, limit uint8) bool {
		cut := CutText(s, int(limit))
		kept := strings.TrimSuffix(cut, "…")
		whole := strings.ToValidUTF8(s, "\uFFFD")
		return len(cut) <= int(limit) && utf8.ValidString(cut) && strings.HasPrefix(whole, kept) &&
			(len(whole) > int(limit) || cut == whole) && CutText(cut, int(limit)) == cut
	}
	if err := quick.Check(fine, &quick.Config{MaxCountScale: 20}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		s     string
		limit int
		want  string
	}{
		{"hello", 5, "hello"}, {"hello!", 5, "he…"}, {"hello", 3, "…"}, {"hello", 2, "he"}, {"hello", 0, ""},
		{"ééé", 5, "é…"}, {"a\xffb", 9, "a\uFFFDb"}, {"", 0, ""}, {"short", math.MaxInt, "short"},
	} {
		if got := CutText(c.s, c.limit); got != c.want {
			t.Errorf("CutText(%q, %d) = %q, want %q", c.s, c.limit, got, c.want)
		}
	}
}

func TestCutTail(t *testing.T) {
	t.Parallel()
	fine := func(s string, limit uint8) bool {
		cut := CutTail(s, int(limit))
		whole := strings.ToValidUTF8(s, "\uFFFD")
		return len(cut) <= int(limit) && utf8.ValidString(cut) && strings.HasSuffix(whole, cut) &&
			(len(whole) > int(limit) || cut == whole) && len(cut)+utf8.UTFMax > min(len(whole), int(limit))
	}
	if err := quick.Check(fine, &quick.Config{MaxCountScale: 20}); err != nil {
		t.Error(err)
	}
}
