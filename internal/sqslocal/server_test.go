package sqslocal_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"

	"tallyman/internal/sqslocal"
	"tallyman/internal/sqslocal/sqstest"
)

// wantCode fails unless err has the code; "" is no error.
func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var api smithy.APIError
	switch {
	case code == "" && err == nil:
	case !errors.As(err, &api) || api.ErrorCode() != code:
		t.Errorf("error is %v, want code %q", err, code)
	}
}

func TestNewNamesWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sqs.db")
	running := serve(t, sqslocal.Options{Path: path})
	for name, test := range map[string]struct {
		options sqslocal.Options
		want    string
	}{
		"taken port":  {sqslocal.Options{Addr: strings.TrimPrefix(running.URL(), "http://")}, "is the port in use?"},
		"taken file":  {sqslocal.Options{Path: path}, "another process has it open"},
		"no folder":   {sqslocal.Options{Path: filepath.Join(t.TempDir(), "none", "sqs.db")}, "open "},
		"bad address": {sqslocal.Options{Addr: "9324"}, "Addr"},
		"bad region":  {sqslocal.Options{Region: "Mars"}, "Region"},
		"bad account": {sqslocal.Options{AccountID: "7"}, "AccountID"},
	} {
		s, err := sqslocal.New(test.options)
		if err == nil {
			t.Errorf("%s: no error", name)
			err = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want it to hold %q", name, err, test.want)
		}
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sqs.db")
	clock := clockwork.NewFakeClock()
	var handle string
	t.Run("before", func(t *testing.T) {
		d := newDesk(t, serve(t, sqslocal.Options{Path: path, Clock: clock}), map[string]string{"VisibilityTimeout": "77"})
		d.send("in flight", 0)
		_, handles := d.receive(0)
		handle = handles[0]
		d.send("visible", 0)
		d.send("delayed", 60)
		_, err := d.client.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: d.queue, Tags: map[string]string{"team": "books"}})
		wantCode(t, err, "")
	})
	s := serve(t, sqslocal.Options{Path: path, Clock: clock})
	url := s.QueueURL("desk")
	d := desk{t, sqstest.NewClient(s.URL(), "us-east-1"), &url}
	d.wantCounters("after the restart", "1 1 1")
	wantCode(t, d.delete(handle), "")
	d.wantCounters("after deleting with the handle of before", "1 0 1")
	attributes, err := d.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: allNames})
	wantCode(t, err, "")
	if got := attributes.Attributes["VisibilityTimeout"]; got != "77" {
		t.Errorf("VisibilityTimeout is %s, want 77", got)
	}
	tags, err := d.client.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: &url})
	wantCode(t, err, "")
	if diff := cmp.Diff(map[string]string{"team": "books"}, tags.Tags); diff != "" {
		t.Error(diff)
	}
}

// A poll that waits, and a connection on which nothing is said, may not hold up the end of the server.
func TestRunDrains(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	s, err := sqslocal.New(sqslocal.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	d := newDesk(t, s, nil)
	got := polling(t, d, clock, 1)
	idle, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }() // the server has closed it
	d.counters()                        // by then the server has seen the connection on which nothing is said
	cancel()
	began := time.Now()
	if bodies := <-got; len(bodies) != 0 {
		t.Errorf("received %v", bodies)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("draining took %s", took)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := s.EnsureQueue(t.Context(), "late", nil); err == nil {
		t.Error("a closed server made a queue")
	}
}

func TestEnsureQueue(t *testing.T) {
	t.Parallel()
	s := serve(t, sqslocal.Options{})
	for _, step := range []struct {
		attributes map[string]string
		want       string
	}{
		{map[string]string{"VisibilityTimeout": "40", "DelaySeconds": "2"}, "40 2"},
		{map[string]string{"VisibilityTimeout": "50"}, "50 2"},
		{nil, "50 2"},
	} {
		url, err := s.EnsureQueue(t.Context(), "tasks", step.attributes)
		if err != nil {
			t.Fatal(err)
		}
		out, err := sqstest.NewClient(s.URL(), "us-east-1").GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: allNames})
		wantCode(t, err, "")
		if got := out.Attributes["VisibilityTimeout"] + " " + out.Attributes["DelaySeconds"]; got != step.want {
			t.Errorf("after %v: %s, want %s", step.attributes, got, step.want)
		}
	}
	if _, err := s.EnsureQueue(t.Context(), "no queue", nil); err == nil {
		t.Error("an illegal name was accepted")
	}
}

func TestWhatIsNotHereYetSaysSo(t *testing.T) {
	t.Parallel()
	client := sqstest.NewClient(serve(t, sqslocal.Options{}).URL(), "us-east-1")
	const code = "AWS.SimpleQueueService.UnsupportedOperation"
	_, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("orders.fifo"), Attributes: map[string]string{"FifoQueue": "true"}})
	wantCode(t, err, code)
	_, err = client.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:x")})
	wantCode(t, err, code)
	_, err = client.RemovePermission(t.Context(), &sqs.RemovePermissionInput{QueueUrl: aws.String("x"), Label: aws.String("l")})
	wantCode(t, err, code)
}

func TestAnswersForThoseWhoKnockOtherwise(t *testing.T) {
	t.Parallel()
	s := serve(t, sqslocal.Options{})
	for name, test := range map[string]struct {
		method, path, target, contentType, body string
		status                                  int
		want                                    string
	}{
		"browser":         {"GET", "/", "", "", "", 200, "aws --endpoint-url " + s.URL()},
		"lost browser":    {"GET", "/queues", "", "", "", 404, "aws --endpoint-url"},
		"other method":    {"PUT", "/", "", "", "", 405, "POST"},
		"query protocol":  {"POST", "/", "", "application/x-www-form-urlencoded", "Action=ListQueues", 400, "JSON 1.0"},
		"queue's path":    {"POST", "/000000000000/q", "AmazonSQS.ListQueues", "", "{}", 200, "{}"},
		"other account":   {"POST", "/", "AmazonSQS.PurgeQueue", "", `{"QueueUrl":"http://x/111111111111/q"}`, 400, "account is 000000000000"},
		"bytes":           {"POST", "/", "AmazonSQS.SendMessage", "", "{\"QueueUrl\":\"\xff\"}", 400, "UTF-8"},
		"endless body":    {"POST", "/", "AmazonSQS.SendMessage", "", strings.Repeat(" ", 7<<20), 413, "longer than"},
		"deep nesting":    {"POST", "/", "AmazonSQS.SendMessage", "", strings.Repeat("[", 20000), 400, "SerializationException"},
		"service of AWS":  {"POST", "/", "DynamoDB_20120810.ListTables", "", "{}", 400, "AmazonSQS."},
		"unknown":         {"POST", "/", "AmazonSQS.Eat", "", "{}", 400, "UnknownOperationException"},
		"nothing to read": {"POST", "/", "AmazonSQS.ListQueues", "", "", 200, "{}"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, s.URL()+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", test.target)
		r.Header.Set("Content-Type", test.contentType)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if resp.StatusCode != test.status || !bytes.Contains(body, []byte(test.want)) {
			t.Errorf("%s: %d %.200s, want %d and %q", name, resp.StatusCode, body, test.status, test.want)
		}
	}
}

// The queue's URL has the name under which the client knows the server: a pod
// reaches it by another name than its host does.
func TestQueueURLsHaveTheClientsHost(t *testing.T) {
	t.Parallel()
	s := serve(t, sqslocal.Options{})
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "http://sqs.test:9324/", strings.NewReader(`{"QueueName":"q"}`))
	r.Header.Set("X-Amz-Target", "AmazonSQS.CreateQueue")
	s.Handler().ServeHTTP(w, r)
	if want := `{"QueueUrl":"http://sqs.test:9324/000000000000/q"}`; strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("answer is %s, want %s", w.Body, want)
	}
}

// brokenWriter is the connection of a client that went away at the last moment.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestMessagesThatNobodyGotAreGivenBack(t *testing.T) {
	t.Parallel()
	s := serve(t, sqslocal.Options{})
	d := newDesk(t, s, nil)
	d.send("x", 0)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"QueueUrl":"`+*d.queue+`"}`))
	r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
	s.Handler().ServeHTTP(brokenWriter{httptest.NewRecorder()}, r)
	d.wantCounters("after an answer that could not be written", "1 0 0")
	out, err := d.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: d.queue, AttributeNames: allNames})
	wantCode(t, err, "")
	if got := out.Messages[0].Attributes["ApproximateReceiveCount"]; got != "1" {
		t.Errorf("ApproximateReceiveCount is %s: the receive that nobody got was counted", got)
	}
}
