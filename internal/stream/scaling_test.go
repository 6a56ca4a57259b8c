package stream_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// mirrored lists what the stream holds of a queue, as reason and count.
func mirrored(t *testing.T, s *stream.Stream, queue string, since time.Time) (got []string) {
	t.Helper()
	err := s.Scaling(t.Context(), queue, since, func(e contract.Scaling) error {
		got = append(got, e.Queue+" "+e.Reason+" "+e.ID())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestScalingIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := testenv.NATS(t)
	at := contract.At(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))
	e := contract.Scaling{
		UID: "event-1", Count: 1, First: at, Last: at, Queue: "default", Severity: contract.Normal, Reason: "KEDAJobsCreated",
		Cluster: "prod-eu", Namespace: "jobs", Kind: contract.KindScaledJob, Name: "processor-default", ObjectUID: "object-1",
	}
	if got := mirrored(t, s, "*", time.Time{}); got != nil {
		t.Errorf("an empty stream holds %v", got)
	}
	other := e
	other.UID, other.Queue, other.Reason = "event-2", "other", "Failed.Mount"
	for _, e := range []contract.Scaling{e, e, other, e} { // who starts anew says all of it again
		if err := s.PublishScaling(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	e.Count = 2
	if err := s.PublishScaling(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	want := []string{"default KEDAJobsCreated event-1/1", "other Failed.Mount event-2/1", "default KEDAJobsCreated event-1/2"}
	if d := cmp.Diff(want, mirrored(t, s, "*", time.Time{})); d != "" {
		t.Errorf("every queue (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want[1:2], mirrored(t, s, "other", time.Time{})); d != "" {
		t.Errorf("one queue (-want +got):\n%s", d)
	}
	for queue, want := range map[string][]string{
		"default": {"KEDAJobsCreated event-1/2"}, "other": {"Failed.Mount event-2/1"}, "unheard-of": nil,
	} {
		var got []string
		last, err := s.LastScaling(t.Context(), queue)
		for _, e := range last {
			got = append(got, e.Reason+" "+e.ID())
		}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("the newest of %s (-want +got):\n%s%v", queue, d, err)
		}
	}
	if got := mirrored(t, s, "*", time.Now().Add(time.Hour)); got != nil {
		t.Errorf("of the time to come: %v", got)
	}
}
