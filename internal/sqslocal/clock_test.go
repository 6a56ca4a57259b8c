package sqslocal_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"

	"tallyman/internal/sqslocal"
)

// timed is a desk at a server whose time the test moves.
func timed(t *testing.T, attributes map[string]string) (desk, *clockwork.FakeClock) {
	t.Helper()
	clock := clockwork.NewFakeClock()
	return newDesk(t, serve(t, sqslocal.Options{Clock: clock}), attributes), clock
}

// polling receives on another goroutine; it returns once the server waits for
// so many moments in time: the poll's end, and the next message to appear, if any.
func polling(t *testing.T, d desk, clock *clockwork.FakeClock, moments int) <-chan []string {
	t.Helper()
	got := make(chan []string, 1)
	go func() {
		bodies, _ := d.receive(20)
		got <- bodies
	}()
	if err := clock.BlockUntilContext(t.Context(), moments); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPollWakesWhenDelayEnds(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, nil)
	d.send("later", 10)
	d.wantCounters("before its time", "0 0 1")
	got := polling(t, d, clock, 2)
	clock.Advance(10 * time.Second)
	if diff := cmp.Diff([]string{"later"}, <-got); diff != "" {
		t.Error(diff)
	}
	d.wantCounters("after", "0 1 0")
}

func TestPollWakesWhenVisibilityEnds(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, map[string]string{"VisibilityTimeout": "15"})
	d.send("again", 0)
	d.receive(0)
	got := polling(t, d, clock, 2)
	clock.Advance(14 * time.Second)
	d.wantCounters("a second too early", "0 1 0")
	clock.Advance(time.Second)
	if diff := cmp.Diff([]string{"again"}, <-got); diff != "" {
		t.Error(diff)
	}
}

func TestPollEndsWithItsTime(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, nil)
	got := polling(t, d, clock, 1)
	clock.Advance(20 * time.Second)
	if bodies := <-got; len(bodies) != 0 {
		t.Errorf("received %v from an empty queue", bodies)
	}
}

func TestPollOfDeletedQueueIsTold(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	d := newDesk(t, serve(t, sqslocal.Options{Clock: clock}), nil)
	ended := make(chan error, 1)
	go func() {
		_, err := d.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: d.queue, WaitTimeSeconds: 20})
		ended <- err
	}()
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: d.queue}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-ended, "AWS.SimpleQueueService.NonExistentQueue")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, map[string]string{"MessageRetentionPeriod": "600", "VisibilityTimeout": "3600"})
	d.send("in flight", 0)
	d.receive(0)
	d.send("delayed", 900)
	clock.Advance(300 * time.Second)
	d.send("young", 0)
	d.wantCounters("at 300 s", "1 1 1")
	clock.Advance(300 * time.Second)
	d.wantCounters("at 600 s", "1 0 0")
	if bodies, _ := d.receive(0); !cmp.Equal(bodies, []string{"young"}) {
		t.Errorf("received %v, want the young one", bodies)
	}
	clock.Advance(300 * time.Second)
	d.wantCounters("at 900 s", "0 0 0")
}

func TestDeadLetterKeepsItsAge(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	s := serve(t, sqslocal.Options{Clock: clock})
	dead := newDesk(t, s, map[string]string{"MessageRetentionPeriod": "100"})
	url, err := s.EnsureQueue(t.Context(), "source", map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:desk","maxReceiveCount":1}`})
	if err != nil {
		t.Fatal(err)
	}
	source := desk{t, dead.client, &url}
	source.send("poison", 0)
	source.receive(0)
	clock.Advance(90 * time.Second)
	source.receive(0)
	dead.wantCounters("after the move", "1 0 0")
	clock.Advance(10 * time.Second)
	dead.wantCounters("100 s after it was sent", "0 0 0")
}

func TestPurgeAgainAfterAMinute(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, nil)
	for _, step := range []struct {
		advance time.Duration
		code    string
	}{{0, ""}, {59 * time.Second, "AWS.SimpleQueueService.PurgeQueueInProgress"}, {time.Second, ""}} {
		clock.Advance(step.advance)
		_, err := d.client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: d.queue})
		wantCode(t, err, step.code)
	}
}

func TestVisibilityHasATotalOfTwelveHours(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, nil)
	d.send("long", 0)
	_, handles := d.receive(0)
	wantCode(t, d.hide(handles[0], 12*60*60), "")
	clock.Advance(11 * time.Hour)
	wantCode(t, d.hide(handles[0], 60*60), "")
	wantCode(t, d.hide(handles[0], 60*60+1), "InvalidParameterValue")
}

// An overlapping worker's older handle changes visibility, as it does at AWS,
// though it deletes nothing.
func TestOlderHandleChangesVisibility(t *testing.T) {
	t.Parallel()
	d, clock := timed(t, map[string]string{"VisibilityTimeout": "10"})
	d.send("shared", 0)
	_, older := d.receive(0)
	clock.Advance(10 * time.Second)
	d.receive(0)
	d.wantCounters("after the second receive", "0 1 0")
	wantCode(t, d.hide(older[0], 0), "")
	d.wantCounters("after the older handle's release", "1 0 0")
}
