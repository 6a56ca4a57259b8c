package queue

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tallyman/contract"
)

// Received is a message, hidden from others until its visibility ends.
type Received struct {
	MessageID  string
	Receipt    string
	Body       []byte
	Envelope   bool // it is marked as ours; any other is foreign
	Sent       contract.Time
	Receives   int
	Attributes map[string]string // its message attributes that are strings
}

// Receive waits up to wait (SQS allows 20 s) for at most max messages (SQS allows 10), and hides them for
// visibility, or for as long as the queue says where that is 0.
func (c *Client) Receive(ctx context.Context, url string, max int, wait, visibility time.Duration) ([]Received, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+c.timeout)
	defer cancel()
	out, err := c.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: int32(max), WaitTimeSeconds: int32(wait / time.Second),
		VisibilityTimeout:           int32(visibility / time.Second),
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, wrap(err, "receive from", url)
	}
	all := make([]Received, len(out.Messages))
	for i, m := range out.Messages {
		all[i] = received(m)
	}
	return all, nil
}

func received(m types.Message) Received {
	r := Received{
		MessageID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle),
		Body: []byte(aws.ToString(m.Body)), Attributes: make(map[string]string),
	}
	for name, v := range m.MessageAttributes {
		if v.StringValue != nil {
			r.Attributes[name] = *v.StringValue
		}
	}
	_, r.Envelope = r.Attributes[contract.AttributeVersion]
	// SQS promises both numbers; where one is unreadable its zero value is harmless.
	sent, _ := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	r.Sent = contract.AtMilli(sent)
	r.Receives, _ = strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	return r
}

// Delete removes a received message. An old receipt is no error, and may delete nothing.
func (c *Client) Delete(ctx context.Context, url, receipt string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := c.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: &receipt})
	return wrap(err, "delete from", url)
}

// Release makes a received message visible again after delay, at once for 0.
func (c *Client) Release(ctx context.Context, url, receipt string, delay time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := c.sqs.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &url, ReceiptHandle: &receipt, VisibilityTimeout: int32(delay / time.Second),
	})
	return wrap(err, "release to", url)
}
