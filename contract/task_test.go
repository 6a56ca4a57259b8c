package contract

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func probe() Task {
	return Task{
		JobID: "01997d6c-5a80-7c3e-9f2a-1b2c3d4e5f60", Run: 1, Type: "probe", Queue: "default",
		Payload: []byte(`{"target":"127.0.0.1"}`), SubmittedAt: At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)),
		Submitter: "api", Source: FromAPI,
	}
}

// TestTaskPayloadAddsNoFields: the payload is spliced, so one that is more than a value would be believed.
func TestTaskPayloadAddsNoFields(t *testing.T) {
	t.Parallel()
	for _, p := range []string{``, ` `, `1,"timeoutSeconds":9`, `1}`, `{}{}`, `1,"payload":2`, `"`, `{"a":1`, `nul`} {
		task := probe()
		task.Payload = []byte(p)
		if b, err := task.Encode(); CodeOf(err) != CodeMalformed {
			t.Errorf("%s: %v %s", p, err, b)
		}
	}
}

func TestTaskPayloadLosesSpaceAroundIt(t *testing.T) {
	t.Parallel()
	task := probe()
	task.Payload = []byte(" { \"a\" : 1 }\r\n\t")
	b, err := task.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeTask(b)
	if err != nil || string(got.Payload) != `{ "a" : 1 }` {
		t.Errorf("%q %v", got.Payload, err)
	}
}

func TestTaskEncodeRefusesWhatDecodeWould(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*Task)
		want  Code
	}{
		"no run":         {func(t *Task) { t.Run = 0 }, CodeInvalidValue},
		"a queue's dot":  {func(t *Task) { t.Queue = "a.b" }, CodeInvalidValue},
		"no time":        {func(t *Task) { t.SubmittedAt = Time{} }, CodeInvalidValue},
		"no source":      {func(t *Task) { t.Source = "" }, CodeInvalidValue},
		"timeout":        {func(t *Task) { t.TimeoutSeconds = -1 }, CodeInvalidValue},
		"too many tags":  {func(t *Task) { t.Tags = make([]string, MaxTags+1) }, CodeTooLarge},
		"large payload":  {func(t *Task) { t.Payload = quoted(MaxTaskBytes) }, CodeTooLarge},
		"large, foreign": {func(t *Task) { t.Foreign, t.Payload = true, make([]byte, MaxPayloadBytes+1) }, CodeTooLarge},
	} {
		task := probe()
		c.spoil(&task)
		if _, err := task.Encode(); CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// quoted is a JSON string of n bytes.
func quoted(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	b[0], b[n-1] = '"', '"'
	return b
}

func TestTaskDoesNotShareTheMessage(t *testing.T) {
	t.Parallel()
	task := probe()
	b, err := task.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeTask(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if diff := cmp.Diff(task, got); diff != "" {
		t.Error(diff)
	}
}

func TestForeignTask(t *testing.T) {
	t.Parallel()
	sent := At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	for _, body := range []string{"", "not json", `{"v":1}`, "\x00\xff"} {
		task := ForeignTask("default", "probe", "message-1", []byte(body), sent)
		b, err := task.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeTask(b)
		if err != nil || string(got.Payload) != body || got.JobID != ForeignID("default", "message-1") {
			t.Errorf("%q: %+v %v", body, got, err)
		}
	}
}
