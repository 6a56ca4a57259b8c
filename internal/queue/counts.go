package queue

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Counts is what SQS says of a queue; on AWS each is approximate and may lag by a minute.
type Counts struct {
	Visible  int // may be received now
	InFlight int // received, neither deleted nor visible again
	Delayed  int // sent with a delay that has not ended
}

// Empty tells whether SQS says that it holds nothing at all.
func (c Counts) Empty() bool { return c == Counts{} }

// Counts reads the three counters in one request, as KEDA does.
func (c *Client) Counts(ctx context.Context, url string) (Counts, error) {
	a, err := c.attributes(ctx, url,
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	if err != nil {
		return Counts{}, err
	}
	return Counts{
		Visible:  a.number(types.QueueAttributeNameApproximateNumberOfMessages),
		InFlight: a.number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		Delayed:  a.number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
	}, nil
}

// Settings is how a queue is set up, for those who check it.
type Settings struct {
	Visibility time.Duration
	Retention  time.Duration
	Redrive    string // the policy as SQS has it; "" where no dead-letter queue is set
}

// Settings reads them.
func (c *Client) Settings(ctx context.Context, url string) (Settings, error) {
	a, err := c.attributes(ctx, url, types.QueueAttributeNameVisibilityTimeout,
		types.QueueAttributeNameMessageRetentionPeriod, types.QueueAttributeNameRedrivePolicy)
	if err != nil {
		return Settings{}, err
	}
	return Settings{
		Visibility: time.Duration(a.number(types.QueueAttributeNameVisibilityTimeout)) * time.Second,
		Retention:  time.Duration(a.number(types.QueueAttributeNameMessageRetentionPeriod)) * time.Second,
		Redrive:    a[string(types.QueueAttributeNameRedrivePolicy)],
	}, nil
}

type attributes map[string]string

func (a attributes) number(name types.QueueAttributeName) int {
	n, _ := strconv.Atoi(a[string(name)]) // absent where it does not apply: 0
	return n
}

func (c *Client) attributes(ctx context.Context, url string, names ...types.QueueAttributeName) (attributes, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return nil, wrap(err, "look at", url)
	}
	return out.Attributes, nil
}
