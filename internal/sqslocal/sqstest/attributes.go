package sqstest

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var attributeChecks = []check{
	{"a new queue has AWS's defaults", func(p *probe) {
		got := p.attributes(p.queue(nil), types.QueueAttributeNameAll)
		for name, want := range (attrs{
			"VisibilityTimeout": "30", "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0",
			"MessageRetentionPeriod": "345600", "MaximumMessageSize": "1048576",
			"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
		}) {
			equal(p, name, got[name], want)
		}
		for _, name := range []string{"CreatedTimestamp", "LastModifiedTimestamp"} {
			if len(got[name]) != 10 {
				p.errorf("%s is %q, want seconds since 1970", name, got[name])
			}
		}
	}},
	{"the ARN names region, account and queue", func(p *probe) {
		name := newName()
		want := strings.Join([]string{"arn:aws:sqs", p.target.Region, p.target.Account, name}, ":")
		equal(p, "ARN", p.arn(p.namedQueue(name, nil)), want)
	}},
	{"only the attributes asked for are returned", func(p *probe) {
		got := p.attributes(p.queue(nil), types.QueueAttributeNameDelaySeconds)
		equal(p, "number of attributes", len(got), 1)
		equal(p, "DelaySeconds", got["DelaySeconds"], "0")
	}},
	{"no attribute asked for, none returned", func(p *probe) {
		equal(p, "number of attributes", len(p.attributes(p.queue(nil))), 0)
	}},
	{"asking for an unknown attribute is InvalidAttributeName", func(p *probe) {
		_, err := p.client.GetQueueAttributes(p, &sqs.GetQueueAttributesInput{
			QueueUrl: p.queue(nil), AttributeNames: []types.QueueAttributeName{"Colour"}})
		wantError[*types.InvalidAttributeName](p, "get attributes", err)
	}},
	{"setting one attribute leaves the others", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "17", "DelaySeconds": "5"})
		p.must("set", p.set(q, attrs{"MessageRetentionPeriod": "600"}))
		got := p.attributes(q, types.QueueAttributeNameAll)
		equal(p, "MessageRetentionPeriod", got["MessageRetentionPeriod"], "600")
		equal(p, "VisibilityTimeout", got["VisibilityTimeout"], "17")
		equal(p, "DelaySeconds", got["DelaySeconds"], "5")
	}},
	{"values out of range are InvalidAttributeValue", func(p *probe) {
		q := p.queue(nil)
		for name, value := range (attrs{
			"VisibilityTimeout": "43201", "DelaySeconds": "-1", "MessageRetentionPeriod": "59",
			"ReceiveMessageWaitTimeSeconds": "21", "MaximumMessageSize": "1048577",
		}) {
			wantError[*types.InvalidAttributeValue](p, name+"="+value, p.set(q, attrs{name: value}))
		}
	}},
	{"a value that is no number is InvalidAttributeValue", func(p *probe) {
		wantError[*types.InvalidAttributeValue](p, "set", p.set(p.queue(nil), attrs{"VisibilityTimeout": "soon"}))
	}},
	{"setting an unknown attribute is InvalidAttributeName", func(p *probe) {
		wantError[*types.InvalidAttributeName](p, "set", p.set(p.queue(nil), attrs{"Colour": "red"}))
	}},
	{"a refused setting changes nothing", func(p *probe) {
		q := p.queue(nil)
		if p.set(q, attrs{"DelaySeconds": "5", "VisibilityTimeout": "-1"}) == nil {
			p.errorf("a negative VisibilityTimeout was accepted")
		}
		equal(p, "DelaySeconds", p.attributes(q, types.QueueAttributeNameDelaySeconds)["DelaySeconds"], "0")
	}},
	{"counters tell visible, in flight and delayed apart", func(p *probe) {
		q := p.queue(nil)
		for range 5 {
			p.send(q, "now")
		}
		for range 2 {
			p.send(q, "later", delayed(900))
		}
		m := p.one(q)
		equal(p, "visible, in flight, delayed", p.counters(q), [3]int{4, 1, 2})
		p.delete(q, m.ReceiptHandle)
		equal(p, "after the delete", p.counters(q), [3]int{4, 0, 2})
	}},
}

func (p *probe) set(queue *string, attributes attrs) error {
	_, err := p.client.SetQueueAttributes(p, &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: attributes})
	return err
}
