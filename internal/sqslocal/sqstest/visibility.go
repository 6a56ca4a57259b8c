package sqstest

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var visibilityChecks = []check{
	{"a received message is hidden and comes back", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		first := p.one(q)
		p.none(q, "while in flight")
		equal(p, "message id", *p.one(q).MessageId, *first.MessageId)
	}},
	{"a receive may hide for longer than the queue does", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		p.one(q, hideFor(60))
		if got := p.receive(q, wait(2)); len(got) != 0 {
			p.errorf("the message came back after the queue's timeout")
		}
	}},
	{"visibility 0 releases at once", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		p.must("release", p.changeVisibility(q, p.one(q).ReceiptHandle, 0))
		equal(p, "visible, in flight, delayed", p.counters(q), [3]int{1, 0, 0})
		p.one(q)
	}},
	{"visibility can be made longer", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		p.must("extend", p.changeVisibility(q, p.one(q).ReceiptHandle, 60))
		if got := p.receive(q, wait(2)); len(got) != 0 {
			p.errorf("the message came back before its new time")
		}
	}},
	{"visibility can be made shorter", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "600"})
		p.send(q, "x")
		p.must("shorten", p.changeVisibility(q, p.one(q).ReceiptHandle, 1))
		p.one(q)
	}},
	{"visibility that has run out can still be changed", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		m := p.one(q)
		p.until(q, [3]int{1, 0, 0})
		p.must("hide again", p.changeVisibility(q, m.ReceiptHandle, 60))
		p.none(q, "hidden again")
	}},
	{"changing a released message is MessageNotInflight", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		handle := p.one(q).ReceiptHandle
		p.must("release", p.changeVisibility(q, handle, 0))
		wantError[*types.MessageNotInflight](p, "change", p.changeVisibility(q, handle, 60))
	}},
	{"changing a deleted message is InvalidParameterValue", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		handle := p.one(q).ReceiptHandle
		p.delete(q, handle)
		p.wantCode("change", p.changeVisibility(q, handle, 60), "InvalidParameterValue")
	}},
	{"visibility out of range is refused", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		handle := p.one(q).ReceiptHandle
		p.wantCode("43201 s", p.changeVisibility(q, handle, 43201), "InvalidParameterValue")
		p.wantCode("-1 s", p.changeVisibility(q, handle, -1), "InvalidParameterValue")
	}},
}

var receiptChecks = []check{
	{"each receive has a handle of its own", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		if first, second := p.one(q), p.one(q); *first.ReceiptHandle == *second.ReceiptHandle {
			p.errorf("both receives have handle %s", *first.ReceiptHandle)
		}
	}},
	{"the newest handle deletes after its time has run out", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		m := p.one(q)
		p.until(q, [3]int{1, 0, 0})
		p.delete(q, m.ReceiptHandle)
		equal(p, "visible, in flight, delayed", p.counters(q), [3]int{})
	}},
	{"an older handle deletes nothing and is no error", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		older := p.one(q)
		newer := p.one(q, hideFor(60))
		p.delete(q, older.ReceiptHandle)
		equal(p, "after the older handle", p.counters(q), [3]int{0, 1, 0})
		p.delete(q, newer.ReceiptHandle)
		equal(p, "after the newer handle", p.counters(q), [3]int{})
	}},
	{"deleting twice is no error", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		handle := p.one(q).ReceiptHandle
		p.delete(q, handle)
		p.delete(q, handle)
	}},
	{"garbage is ReceiptHandleIsInvalid", func(p *probe) {
		q := p.queue(nil)
		_, err := p.client.DeleteMessage(p, &sqs.DeleteMessageInput{QueueUrl: q, ReceiptHandle: aws.String("garbage")})
		wantError[*types.ReceiptHandleIsInvalid](p, "delete", err)
		wantError[*types.ReceiptHandleIsInvalid](p, "change visibility", p.changeVisibility(q, aws.String("garbage"), 1))
	}},
}

var delayChecks = []check{
	{"a delayed message is hidden, then comes", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x", delayed(1))
		equal(p, "visible, in flight, delayed", p.counters(q), [3]int{0, 0, 1})
		p.none(q, "before its time")
		p.one(q)
	}},
	{"the queue's delay is the default", func(p *probe) {
		q := p.queue(attrs{"DelaySeconds": "1"})
		p.send(q, "x")
		p.none(q, "before its time")
		p.one(q)
	}},
	{"a delay of more than 15 minutes is refused", func(p *probe) {
		_, err := p.client.SendMessage(p, &sqs.SendMessageInput{QueueUrl: p.queue(nil), MessageBody: aws.String("x"), DelaySeconds: 901})
		p.wantCode("send", err, "InvalidParameterValue")
	}},
}

// until reads the counters until they are as wanted.
func (p *probe) until(queue *string, want [3]int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := p.counters(queue)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-p.Done():
			p.fatalf("visible, in flight, delayed stayed %v, want %v", got, want)
		}
	}
}
