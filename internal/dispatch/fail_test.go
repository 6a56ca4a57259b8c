package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallyman/contract"
	"tallyman/internal/dispatch"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// unused is a Sender for tests in which nothing may be sent.
type unused struct{ t *testing.T }

func (u unused) Send(context.Context, string, queue.Message) error {
	u.t.Error("a message was sent")
	return nil
}

// cut lets a number of writes through and then, like a crash, none.
type cut struct {
	dispatch.Events
	dispatch.Claims
	left int
}

var errCut = errors.New("cut off")

func (c *cut) take() bool { c.left--; return c.left >= 0 }

func (c *cut) Publish(ctx context.Context, e contract.Event) (uint64, error) {
	if !c.take() {
		return 0, errCut
	}
	return c.Events.Publish(ctx, e)
}

func (c *cut) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if !c.take() {
		return 0, errCut
	}
	return c.Claims.Create(ctx, key, value)
}

func failing(t *testing.T, events dispatch.Events, claims dispatch.Claims) *dispatch.Dispatcher {
	t.Helper()
	d, err := dispatch.New(dispatch.Options{
		Source: contract.SourceScheduler, Config: contract.Config{Queues: []contract.Queue{{Name: "q", URL: "http://unused"}}},
		Events: events, Claims: claims, Sender: unused{t},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// said lists the stream as "kind reason".
func said(t *testing.T, s *stream.Stream) []string {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for seq := uint64(1); seq <= info.Last; seq++ {
		st, err := s.Event(t.Context(), seq)
		if err != nil || st.Fault != nil {
			t.Fatal(err, st.Fault)
		}
		all = append(all, string(st.Event.Kind)+" "+string(st.Event.Reason))
	}
	return all
}

func TestFailSaysWhatTheRunRecordHolds(t *testing.T) {
	t.Parallel()
	now := contract.At(time.Now())
	for name, c := range map[string]struct {
		record *contract.RunRecord
		want   []string
	}{
		"no record":            {nil, []string{"failed ClaimError"}},
		"a unit owns it":       {&contract.RunRecord{Owner: "unit"}, nil},
		"cancelled":            {&contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeCancelled, At: now}, []string{"cancelled Cancelled"}},
		"expired":              {&contract.RunRecord{Tombstone: true, Outcome: contract.OutcomeFailed, Reason: contract.Expired, At: now}, []string{"failed Expired"}},
		"it only holds `next`": {&contract.RunRecord{Tombstone: true, At: now, Next: contract.Next{Set: true, Run: 2}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testenv.NATS(t)
			claims, err := s.Bucket(t.Context(), contract.BucketClaims)
			if err != nil {
				t.Fatal(err)
			}
			task := contract.Task{
				JobID: contract.KeyID("test", name), Run: 1, Type: "probe", Queue: "q", Payload: []byte("1"),
				SubmittedAt: now, Submitter: "test", Source: contract.FromAPI,
			}
			if c.record != nil {
				b, err := c.record.Encode()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := claims.Create(t.Context(), contract.RunKey("q", task.JobID, 1), b); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // a repeat is harmless
				if err := failing(t, s, claims).Fail(t.Context(), task, contract.ClaimError, ""); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, said(t, s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFailOfAForeignRunGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	for writes := range 3 {
		s := testenv.NATS(t)
		claims, err := s.Bucket(t.Context(), contract.BucketClaims)
		if err != nil {
			t.Fatal(err)
		}
		task := contract.ForeignTask("q", "probe", "message", []byte("any bytes"), contract.At(time.Now()))
		c := &cut{Events: s, Claims: claims, left: writes}
		if err := failing(t, c, c).Fail(t.Context(), task, contract.ClaimError, ""); !errors.Is(err, errCut) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		if err := failing(t, s, claims).Fail(t.Context(), task, contract.ClaimError, ""); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"submitted ", "failed ClaimError"}, said(t, s)); diff != "" {
			t.Errorf("after %d writes: %s", writes, diff)
		}
	}
}
