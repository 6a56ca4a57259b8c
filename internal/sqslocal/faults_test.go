package sqslocal_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"

	"tallyman/internal/sqslocal"
)

// faulty is a desk at a server whose faults the test chooses.
func faulty(t *testing.T) (desk, *sqslocal.Faults) {
	t.Helper()
	faults := sqslocal.NewFaults(1)
	return newDesk(t, serve(t, sqslocal.Options{Faults: faults}), nil), faults
}

func (d desk) trySend() error {
	_, err := d.client.SendMessage(d.t.Context(), &sqs.SendMessageInput{QueueUrl: d.queue, MessageBody: d.queue})
	return err
}

func TestFaultsRefuse(t *testing.T) {
	t.Parallel()
	d, faults := faulty(t)
	for kind, code := range map[sqslocal.FaultKind]string{
		sqslocal.Throttle: "RequestThrottled", sqslocal.LimitExceeded: "OverLimit",
		sqslocal.Unavailable: "ServiceUnavailable", sqslocal.Broken: "InternalFailure",
	} {
		remove := faults.Add(sqslocal.Fault{Kind: kind, Operation: "SendMessage", Share: 1})
		wantCode(t, d.trySend(), code)
		remove()
		if got := faults.Count(kind); got != 1 {
			t.Errorf("%s happened %d times, want 1", code, got)
		}
	}
	d.wantCounters("after refusals alone", "0 0 0")
	wantCode(t, d.trySend(), "")
}

func TestFaultsHappenToTheirShareAndSoOften(t *testing.T) {
	t.Parallel()
	const requests = 400
	run := func() (failed int) {
		d, faults := faulty(t)
		faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Operation: "SendMessage", Share: 0.25})
		for range requests {
			if d.trySend() != nil {
				failed++
			}
		}
		return failed
	}
	first, second := run(), run()
	if first < requests/8 || first > requests/2 {
		t.Errorf("%d of %d requests failed, want about a quarter", first, requests)
	}
	if first != second {
		t.Errorf("the same seed made %d and then %d requests fail", first, second)
	}
	d, faults := faulty(t)
	faults.Add(sqslocal.Fault{Kind: sqslocal.Throttle, Share: 1, Times: 2})
	wantCode(t, d.trySend(), "RequestThrottled")
	wantCode(t, d.trySend(), "RequestThrottled")
	wantCode(t, d.trySend(), "")
}

func TestFaultsHaveAWindow(t *testing.T) {
	t.Parallel()
	clock, faults := clockwork.NewFakeClock(), sqslocal.NewFaults(1)
	d := newDesk(t, serve(t, sqslocal.Options{Clock: clock, Faults: faults}), nil)
	now := clock.Now()
	faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1, From: now.Add(10 * time.Second), Until: now.Add(20 * time.Second)})
	for _, code := range []string{"", "ServiceUnavailable", ""} {
		wantCode(t, d.trySend(), code)
		clock.Advance(10 * time.Second)
	}
}

func TestLostResponseDidItsWork(t *testing.T) {
	t.Parallel()
	d, faults := faulty(t)
	faults.Add(sqslocal.Fault{Kind: sqslocal.LoseResponse, Operation: "SendMessage", Share: 1})
	if d.trySend() == nil {
		t.Error("the response arrived")
	}
	d.wantCounters("after a lost response", "1 0 0")
	faults.Clear()
	faults.Add(sqslocal.Fault{Kind: sqslocal.LoseResponse, Operation: "ReceiveMessage", Share: 1})
	_, err := d.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: d.queue})
	if err == nil {
		t.Error("the messages arrived")
	}
	d.wantCounters("after a lost receive", "0 1 0")
}

func TestDuplicateDeliveries(t *testing.T) {
	t.Parallel()
	d, faults := faulty(t)
	d.send("twice", 0)
	faults.Add(sqslocal.Fault{Kind: sqslocal.Duplicate, Operation: "ReceiveMessage", Share: 1, Times: 1})
	first, _ := d.receive(0)
	second, handles := d.receive(0)
	if diff := cmp.Diff(first, second); diff != "" || len(second) != 1 {
		t.Errorf("the second receive got %v, want the same message again", second)
	}
	faults.Add(sqslocal.Fault{Kind: sqslocal.Duplicate, Operation: "DeleteMessage", Share: 1, Times: 1})
	wantCode(t, d.delete(handles[0]), "")
	d.wantCounters("after a delete that was forgotten", "1 0 0")
	_, handles = d.receive(0)
	wantCode(t, d.delete(handles[0]), "")
	d.wantCounters("after the second delete", "0 0 0")
}
