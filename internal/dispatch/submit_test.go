package dispatch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

func TestSubmitSaysThenSendsThenSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sender.fail = func(context.Context) error {
		if diff := cmp.Diff([]string{id(1, contract.Submitted)}, w.said()); diff != "" {
			t.Errorf("said before the task was sent (-want +got):\n%s", diff)
		}
		return nil
	}
	state, err := w.Submit(WithTrace(t.Context(), "trace"), testTask(1))
	if err != nil || state != contract.StateQueued {
		t.Fatalf("state %q, %v", state, err)
	}
	if diff := cmp.Diff([]string{id(1, contract.Submitted), id(1, contract.Queued)}, w.said()); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	sent := w.sender.sent
	if len(sent) != 1 || sent[0].TraceParent != "trace" || sent[0].Delay != 0 {
		t.Fatalf("sent %+v", sent)
	}
	got, err := contract.DecodeTask(sent[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testTask(1), got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	if e := w.events()[0]; string(e.Task) != string(sent[0].Body) || e.Time != e.SubmittedAt {
		t.Errorf("submitted carries %s at %s", e.Task, e.Time)
	}
}

func TestSubmitAgainIsTheSameFact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		if _, err := w.Submit(t.Context(), testTask(1)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{id(1, contract.Submitted), id(1, contract.Queued)}, w.said()); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// silent is a stream that is away.
type silent struct{ Events }

func (silent) Publish(context.Context, contract.Event) (uint64, error) {
	return 0, stream.ErrUnavailable
}

func TestSubmitWithoutNATSSendsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Events = silent{} })
	if _, err := w.Submit(t.Context(), testTask(1)); !errors.Is(err, stream.ErrUnavailable) {
		t.Fatalf("error %v", err)
	}
	if len(w.sender.sent) > 0 {
		t.Fatal("a task was sent that nobody has recorded")
	}
}

func TestSubmitWithoutSQSIsAccepted(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(context.Context) error{
		"away": func(context.Context) error { return queue.ErrUnavailable },
		"slow": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *Options) { o.SendTimeout = 50 * time.Millisecond })
			w.sender.fail = fail
			state, err := w.Submit(t.Context(), testTask(1))
			if err != nil || state != contract.StateAccepted {
				t.Fatalf("state %q, %v", state, err)
			}
			if diff := cmp.Diff([]string{id(1, contract.Submitted)}, w.said()); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
			if err := w.Resend(t.Context(), testTask(1)); err == nil {
				t.Error("the relay was not told")
			}
			w.sender.fail = nil
			if err := w.Resend(t.Context(), testTask(1)); err != nil {
				t.Fatal(err)
			}
			if got := w.said(); got[len(got)-1] != id(1, contract.Queued) {
				t.Errorf("said %v", got)
			}
		})
	}
}

func TestDelayIsWhatIsLeft(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return now } })
	for ahead, want := range map[time.Duration]time.Duration{
		-time.Hour: 0, 0: 0, time.Millisecond: time.Second, 90 * time.Second: 90 * time.Second, 900 * time.Second: 900 * time.Second,
	} {
		task := testTask(1)
		task.NotBefore = contract.At(now.Add(ahead))
		_, m, err := w.message(t.Context(), &task)
		if err != nil || m.Delay != want {
			t.Errorf("%s ahead: delay %s, %v", ahead, m.Delay, err)
		}
	}
	task := testTask(1)
	task.NotBefore = contract.At(now.Add(901 * time.Second))
	if _, err := w.Submit(t.Context(), task); contract.CodeOf(err) != contract.CodeInvalidValue {
		t.Errorf("more than SQS can delay: %v", err)
	}
}

func TestSubmitRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := testTask(1)
	other.Queue = "other"
	if _, err := w.Submit(t.Context(), other); contract.CodeOf(err) != contract.CodeUnknownQueue {
		t.Errorf("unknown queue: %v", err)
	}
	large := testTask(1)
	large.Payload = []byte(`"` + strings.Repeat("x", contract.MaxTaskBytes) + `"`)
	if _, err := w.Submit(t.Context(), large); contract.CodeOf(err) != contract.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	if got := w.said(); len(got) > 0 {
		t.Errorf("said %v", got)
	}
}

func TestOptionsNameEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Config: contract.Config{Queues: []contract.Queue{{Name: "default"}}}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"Source", "Config", "Events", "Sender", "Claims"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not named in: %v", field, err)
		}
	}
}
