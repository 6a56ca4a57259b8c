package sqstest

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/uuid"
)

// NewClient is the SDK as a program would make it, but that it never tries
// twice: what the server says first is what counts.
func NewClient(endpoint, region string) *sqs.Client {
	return sqs.New(sqs.Options{
		BaseEndpoint:     &endpoint,
		Region:           region,
		Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:       plainBodies{awshttp.NewBuildableClient()},
		RetryMaxAttempts: 1,
	})
}

// plainBodies hides from net/http that the SDK's request bodies can write
// themselves. The SDK (smithy-go 1.28.8) closes a body as soon as there is an
// answer, and one that is closed then reports io.EOF from WriteTo, which
// net/http takes for a failed request: it closes the connection while the
// answer is being read. A server as near as this one is often that fast.
type plainBodies struct{ next sqs.HTTPClient }

func (p plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.next.Do(r)
}

// attrs are a queue's attributes.
type attrs map[string]string

// newName is a queue name that nobody else has.
func newName() string { return "check-" + uuid.NewString() }

// queue makes a queue and returns its URL.
func (p *probe) queue(attributes attrs) *string {
	return p.namedQueue(newName(), attributes)
}

func (p *probe) namedQueue(name string, attributes attrs) *string {
	out, err := p.client.CreateQueue(p, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		p.fatalf("create queue: %v", err)
	}
	return out.QueueUrl
}

// send sends a message with a body and whatever edit adds to it.
func (p *probe) send(queue *string, body string, edit ...func(*sqs.SendMessageInput)) *sqs.SendMessageOutput {
	in := &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body}
	for _, e := range edit {
		e(in)
	}
	out, err := p.client.SendMessage(p, in)
	if err != nil {
		p.fatalf("send: %v", err)
	}
	return out
}

func delayed(seconds int32) func(*sqs.SendMessageInput) {
	return func(in *sqs.SendMessageInput) { in.DelaySeconds = seconds }
}

func withAttributes(attributes map[string]types.MessageAttributeValue) func(*sqs.SendMessageInput) {
	return func(in *sqs.SendMessageInput) { in.MessageAttributes = attributes }
}

func text(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
}

// receive receives with whatever edit adds.
func (p *probe) receive(queue *string, edit ...func(*sqs.ReceiveMessageInput)) []types.Message {
	in := &sqs.ReceiveMessageInput{
		QueueUrl:                    queue,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	}
	for _, e := range edit {
		e(in)
	}
	out, err := p.client.ReceiveMessage(p, in)
	if err != nil {
		p.fatalf("receive: %v", err)
	}
	return out.Messages
}

// one receives one message, which has to be there or come within the long poll.
func (p *probe) one(queue *string, edit ...func(*sqs.ReceiveMessageInput)) types.Message {
	got := p.receive(queue, append([]func(*sqs.ReceiveMessageInput){wait(10)}, edit...)...)
	if len(got) != 1 {
		p.fatalf("received %d messages, want 1", len(got))
	}
	return got[0]
}

// none fails if there is a message to receive at this moment.
func (p *probe) none(queue *string, why string) {
	if got := p.receive(queue); len(got) != 0 {
		p.errorf("%s: received %q", why, *got[0].Body)
	}
}

func wait(seconds int32) func(*sqs.ReceiveMessageInput) {
	return func(in *sqs.ReceiveMessageInput) { in.WaitTimeSeconds = seconds }
}

func hideFor(seconds int32) func(*sqs.ReceiveMessageInput) {
	return func(in *sqs.ReceiveMessageInput) { in.VisibilityTimeout = seconds }
}

func upTo(n int32) func(*sqs.ReceiveMessageInput) {
	return func(in *sqs.ReceiveMessageInput) { in.MaxNumberOfMessages = n }
}

func named(names ...string) func(*sqs.ReceiveMessageInput) {
	return func(in *sqs.ReceiveMessageInput) { in.MessageAttributeNames = names }
}

func (p *probe) delete(queue, handle *string) {
	if _, err := p.client.DeleteMessage(p, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: handle}); err != nil {
		p.fatalf("delete: %v", err)
	}
}

func (p *probe) changeVisibility(queue, handle *string, seconds int32) error {
	_, err := p.client.ChangeMessageVisibility(p, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: queue, ReceiptHandle: handle, VisibilityTimeout: seconds,
	})
	return err
}

// must ends the check on an error.
func (p *probe) must(what string, err error) {
	if err != nil {
		p.fatalf("%s: %v", what, err)
	}
}

// attributes reads a queue's attributes.
func (p *probe) attributes(queue *string, names ...types.QueueAttributeName) map[string]string {
	out, err := p.client.GetQueueAttributes(p, &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: names})
	if err != nil {
		p.fatalf("get attributes: %v", err)
	}
	return out.Attributes
}

// counters are the three figures that KEDA adds up: visible, in flight, delayed.
func (p *probe) counters(queue *string) (n [3]int) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	values := p.attributes(queue, names...)
	for i, name := range names {
		var err error
		if n[i], err = strconv.Atoi(values[string(name)]); err != nil {
			p.errorf("%s is %q", name, values[string(name)])
		}
	}
	return n
}

func (p *probe) arn(queue *string) string {
	return p.attributes(queue, types.QueueAttributeNameQueueArn)["QueueArn"]
}

// wantError fails unless err is of the SDK's type E, which is how a program
// tells AWS's errors apart.
func wantError[E error](p *probe, what string, err error) {
	var typed E
	if !errors.As(err, &typed) {
		p.errorf("%s: error is %v, want %T", what, err, typed)
	}
}

// wantCode is for the errors that the SDK has no type for.
func (p *probe) wantCode(what string, err error, codes ...string) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		p.errorf("%s: error is %v, want code %v", what, err, codes)
		return
	}
	got := api.ErrorCode()
	if _, name, found := strings.Cut(got, "#"); found {
		got = name // a server without x-amzn-query-error shows the whole __type here
	}
	if !slices.Contains(codes, got) {
		p.errorf("%s: code is %s (%s), want %v", what, got, api.ErrorMessage(), codes)
	}
}
