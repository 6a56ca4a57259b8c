package sqslocal_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tallyman/internal/sqslocal"
	"tallyman/internal/sqslocal/sqstest"
)

// childFile, in the environment, makes the test binary a server on that file:
// the kill test needs a process that it can kill.
const childFile = "SQSLOCAL_TEST_CHILD_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		os.Exit(child(path))
	}
	os.Exit(m.Run())
}

func child(path string) int {
	s, err := sqslocal.New(sqslocal.Options{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("serving", s.URL())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// serve runs a server until the test and its subtests have ended.
func serve(t testing.TB, o sqslocal.Options) *sqslocal.Server {
	t.Helper()
	s, err := sqslocal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s
}

// desk is one queue and a client for it.
type desk struct {
	t      testing.TB
	client *sqs.Client
	queue  *string
}

func newDesk(t testing.TB, s *sqslocal.Server, attributes map[string]string) desk {
	t.Helper()
	url, err := s.EnsureQueue(t.Context(), "desk", attributes)
	if err != nil {
		t.Fatal(err)
	}
	return desk{t, sqstest.NewClient(s.URL(), "us-east-1"), &url}
}

func (d desk) send(body string, delay int32) {
	d.t.Helper()
	_, err := d.client.SendMessage(d.t.Context(), &sqs.SendMessageInput{QueueUrl: d.queue, MessageBody: &body, DelaySeconds: delay})
	if err != nil {
		d.t.Fatal(err)
	}
}

// receive returns the bodies and handles of up to ten messages.
func (d desk) receive(waitSeconds int32) (bodies, handles []string) {
	d.t.Helper()
	out, err := d.client.ReceiveMessage(d.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: d.queue, MaxNumberOfMessages: 10, WaitTimeSeconds: waitSeconds})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, m := range out.Messages {
		bodies, handles = append(bodies, *m.Body), append(handles, *m.ReceiptHandle)
	}
	return bodies, handles
}

func (d desk) delete(handle string) error {
	_, err := d.client.DeleteMessage(d.t.Context(), &sqs.DeleteMessageInput{QueueUrl: d.queue, ReceiptHandle: &handle})
	return err
}

func (d desk) hide(handle string, seconds int32) error {
	_, err := d.client.ChangeMessageVisibility(d.t.Context(), &sqs.ChangeMessageVisibilityInput{
		QueueUrl: d.queue, ReceiptHandle: &handle, VisibilityTimeout: seconds})
	return err
}

// counters are visible, in flight and delayed, as they are shown.
func (d desk) counters() string {
	d.t.Helper()
	out, err := d.client.GetQueueAttributes(d.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: d.queue, AttributeNames: allNames})
	if err != nil {
		d.t.Fatal(err)
	}
	a := out.Attributes
	return a["ApproximateNumberOfMessages"] + " " + a["ApproximateNumberOfMessagesNotVisible"] + " " + a["ApproximateNumberOfMessagesDelayed"]
}

func (d desk) wantCounters(when, want string) {
	d.t.Helper()
	if got := d.counters(); got != want {
		d.t.Errorf("%s: visible, in flight and delayed are %s, want %s", when, got, want)
	}
}

var allNames = []types.QueueAttributeName{types.QueueAttributeNameAll}
