package sqslocal

import (
	"time"

	"github.com/google/uuid"
)

// outgoing is what SendMessage and an entry of its batch have in common.
type outgoing struct {
	MessageBody             *string
	DelaySeconds            *int
	MessageAttributes       map[string]attributeValue
	MessageSystemAttributes map[string]attributeValue
	MessageGroupID          *string `json:"MessageGroupId"`
	MessageDeduplicationID  *string `json:"MessageDeduplicationId"`
}

type sendMessageInput struct {
	QueueURL string `json:"QueueUrl"`
	outgoing
}

type sendMessageBatchInput struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []sendEntry
}

type sendEntry struct {
	ID string `json:"Id"`
	outgoing
}

func (e sendEntry) entryID() string { return e.ID }

// sent is what a sender is told.
type sent struct {
	ID                        string `json:"Id,omitempty"` // of the batch's entry
	MessageID                 string `json:"MessageId"`
	MD5OfMessageBody          string
	MD5OfMessageAttributes    string `json:",omitempty"`
	MD5OfMessageSystemAttribs string `json:"MD5OfMessageSystemAttributes,omitempty"`
}

func sendMessage(c *call, in *sendMessageInput) (*sent, error) {
	m, err := in.message(c.trace)
	if err != nil {
		return nil, err
	}
	err = c.do(c.ctx, func(t *tx) error {
		q, err := t.open(in.QueueURL)
		if err != nil {
			return err
		}
		return t.send(q, m, in.outgoing)
	})
	if err != nil {
		return nil, err
	}
	return in.receiptOf("", m), nil
}

func sendMessageBatch(c *call, in *sendMessageBatchInput) (*batchOutput[*sent], error) {
	if err := checkBatch(in.Entries); err != nil {
		return nil, err
	}
	if n := in.size(); n > maxMessageBytes {
		return nil, batchRequestTooLong.errorf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessageBytes, n)
	}
	var out *batchOutput[*sent]
	err := c.do(c.ctx, func(t *tx) error {
		q, err := t.open(in.QueueURL)
		if err != nil {
			return err
		}
		out, err = runBatch(in.Entries, func(e sendEntry) (*sent, error) {
			m, err := e.message(c.trace)
			if err != nil {
				return nil, err
			}
			return e.receiptOf(e.ID, m), t.send(q, m, e.outgoing)
		})
		return err
	})
	return out, err
}

// size is what the batch weighs; the limit is on all its messages together.
func (in *sendMessageBatchInput) size() (n int) {
	for _, e := range in.Entries {
		m := message{extra: extra{Attributes: e.MessageAttributes}}
		if e.MessageBody != nil {
			m.body = *e.MessageBody
		}
		n += m.size()
	}
	return n
}

// message checks everything that can be checked without knowing the queue.
func (o *outgoing) message(trace string) (message, error) {
	m := message{extra: extra{Attributes: o.MessageAttributes, Trace: trace}}
	if o.MessageBody == nil || *o.MessageBody == "" {
		return m, missing("MessageBody")
	}
	m.body = *o.MessageBody
	if !legalText(m.body) {
		return m, invalidMessageContents.errorf("Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	}
	if err := checkMessageAttributes(o.MessageAttributes); err != nil {
		return m, err
	}
	if err := o.checkSystemAttributes(); err != nil {
		return m, err
	}
	if header, ok := o.MessageSystemAttributes[traceHeader]; ok {
		m.extra.Trace = *header.StringValue
	}
	if err := o.checkForStandardQueue(); err != nil {
		return m, err
	}
	if o.MessageGroupID != nil {
		m.extra.GroupID = *o.MessageGroupID
	}
	id, err := uuid.NewRandom()
	m.id = id
	return m, err
}

const traceHeader = "AWSTraceHeader"

// checkSystemAttributes lets through the one that SQS lets a sender set.
func (o *outgoing) checkSystemAttributes() error {
	for name, value := range o.MessageSystemAttributes {
		switch {
		case name != traceHeader:
			return invalidParameterValue.errorf("Message system attribute name '%s' is invalid: only %s can be sent.", clip(name), traceHeader)
		case value.DataType != "String" || value.StringValue == nil || *value.StringValue == "" || !legalText(*value.StringValue):
			return invalidParameterValue.errorf("Message system attribute '%s' must be a non-empty value of type 'String'.", name)
		}
	}
	return nil
}

// checkForStandardQueue: a group makes a standard queue fair; a deduplication
// id means nothing to it.
func (o *outgoing) checkForStandardQueue() error {
	if id := o.MessageGroupID; id != nil && !groupIDForm.MatchString(*id) {
		return invalidValue(clip(*id), "MessageGroupId", "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	if id := o.MessageDeduplicationID; id != nil {
		return invalidValue(clip(*id), "MessageDeduplicationId", "The request include parameter that is not valid for this queue type.")
	}
	if d := o.DelaySeconds; d != nil && (*d < 0 || *d > maxDelaySeconds) {
		return invalidValue(*d, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	}
	return nil
}

// send stores the message as its queue wants it.
func (t *tx) send(q *queue, m message, o outgoing) error {
	if limit := q.number("MaximumMessageSize"); m.size() > limit {
		return invalidParameterValue.errorf("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)
	}
	seconds := q.number("DelaySeconds")
	if o.DelaySeconds != nil {
		seconds = *o.DelaySeconds
	}
	return t.insert(q, m, time.Duration(seconds)*time.Second)
}

func (o *outgoing) receiptOf(entryID string, m message) *sent {
	return &sent{
		ID: entryID, MessageID: m.id.String(),
		MD5OfMessageBody:          md5OfBody(m.body),
		MD5OfMessageAttributes:    md5OfAttributes(o.MessageAttributes),
		MD5OfMessageSystemAttribs: md5OfAttributes(o.MessageSystemAttributes),
	}
}
