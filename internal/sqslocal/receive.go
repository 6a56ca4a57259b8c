package sqslocal

import (
	"context"
	"slices"
	"strconv"
	"time"
)

type receiveMessageInput struct {
	QueueURL                    string `json:"QueueUrl"`
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	ReceiveRequestAttemptID     *string `json:"ReceiveRequestAttemptId"`
}

type receiveMessageOutput struct {
	Messages []receivedMessage `json:",omitempty"`
}

type receivedMessage struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string         `json:",omitempty"`
	MD5OfMessageAttributes string                    `json:",omitempty"`
	MessageAttributes      map[string]attributeValue `json:",omitempty"`
}

// systemAttributes read what the server knows of a message; one that reads ""
// is not there.
var systemAttributes = map[string]func(*store, *delivery) string{
	"SenderId":                         func(s *store, _ *delivery) string { return s.address.account },
	"SentTimestamp":                    func(_ *store, d *delivery) string { return strconv.FormatInt(d.sent, 10) },
	"ApproximateReceiveCount":          func(_ *store, d *delivery) string { return strconv.FormatInt(d.receives, 10) },
	"ApproximateFirstReceiveTimestamp": func(_ *store, d *delivery) string { return strconv.FormatInt(d.firstReceived, 10) },
	"MessageGroupId":                   func(_ *store, d *delivery) string { return d.extra.GroupID },
	traceHeader:                        func(_ *store, d *delivery) string { return d.extra.Trace },
	"DeadLetterQueueSourceArn":         func(_ *store, d *delivery) string { return d.source },
	"SequenceNumber":                   func(*store, *delivery) string { return "" }, // of FIFO queues only
	"MessageDeduplicationId":           func(*store, *delivery) string { return "" }, // likewise
}

func receiveMessage(c *call, in *receiveMessageInput) (*receiveMessageOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	wish := receiveWish{most: 1, visibility: in.VisibilityTimeout}
	if in.MaxNumberOfMessages != nil {
		wish.most = *in.MaxNumberOfMessages
	}
	got, err := c.receiveOrWait(in, wish)
	if err != nil {
		return nil, err
	}
	c.undo = func() { c.giveBack(got) }
	out := &receiveMessageOutput{}
	for _, d := range got {
		out.Messages = append(out.Messages, in.show(c.store, d))
	}
	return out, nil
}

func (in *receiveMessageInput) check() error {
	if n := in.MaxNumberOfMessages; n != nil && (*n < 1 || *n > maxReceive) {
		return invalidValue(*n, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
	}
	if n := in.WaitTimeSeconds; n != nil && (*n < 0 || *n > maxWaitSeconds) {
		return invalidValue(*n, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
	}
	if n := in.VisibilityTimeout; n != nil && (*n < 0 || *n > maxVisibility) {
		return invalidValue(*n, "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided.")
	}
	if id := in.ReceiveRequestAttemptID; id != nil {
		return invalidValue(clip(*id), "ReceiveRequestAttemptId", "The request include parameter that is not valid for this queue type.")
	}
	for _, name := range in.systemNames() {
		if _, known := systemAttributes[name]; !known && name != "All" {
			return unknownAttribute(name)
		}
	}
	return nil
}

// systemNames: MessageSystemAttributeNames took the place of AttributeNames; both are heard.
func (in *receiveMessageInput) systemNames() []string {
	return slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
}

// receiveOrWait takes what is there, or waits in line for the first that comes.
func (c *call) receiveOrWait(in *receiveMessageInput, wish receiveWish) (got []*delivery, err error) {
	var waiting *poll
	var wait time.Duration
	err = c.do(c.ctx, func(t *tx) error {
		q, err := t.open(in.QueueURL)
		if err != nil {
			return err
		}
		if got, err = t.receive(q, wish); err != nil || len(got) > 0 {
			return err
		}
		seconds := q.number("ReceiveMessageWaitTimeSeconds")
		if in.WaitTimeSeconds != nil {
			seconds = *in.WaitTimeSeconds
		}
		if wait = time.Duration(seconds) * time.Second; wait > 0 {
			waiting, err = t.join(c.ctx, q, wish)
			return err
		}
		if t.full(q) { // a long poll is told nothing of this, says AWS
			return overLimit.errorf("Too many messages in flight: the limit is %d.", t.limit)
		}
		return nil
	})
	if err != nil || waiting == nil {
		return got, err
	}
	return c.await(c.ctx, waiting, wait)
}

// giveBack returns messages that could not be handed over.
func (c *call) giveBack(got []*delivery) {
	if len(got) == 0 {
		return
	}
	err := c.do(context.WithoutCancel(c.ctx), func(t *tx) error { return t.putBack(got) })
	if err != nil {
		c.log.Warn("sqs messages of a cancelled receive stay hidden until their time is over", "messages", len(got), "error", err)
	}
}

// show is the message as the receiver asked to see it.
func (in *receiveMessageInput) show(s *store, d *delivery) receivedMessage {
	chosen := selectAttributes(d.extra.Attributes, in.MessageAttributeNames)
	m := receivedMessage{
		MessageID: d.id.String(), ReceiptHandle: d.receipt.handle(),
		Body: d.body, MD5OfBody: md5OfBody(d.body),
		MessageAttributes: chosen, MD5OfMessageAttributes: md5OfAttributes(chosen),
		Attributes: map[string]string{},
	}
	names := in.systemNames()
	for name, read := range systemAttributes {
		if !slices.Contains(names, name) && !slices.Contains(names, "All") {
			continue
		}
		if value := read(s, d); value != "" {
			m.Attributes[name] = value
		}
	}
	return m
}
