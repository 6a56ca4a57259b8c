package sqstest

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const mebibyte = 1 << 20

var messageChecks = []check{
	{"a message comes back as it was sent", func(p *probe) {
		q := p.queue(nil)
		body := "{\"text\":\"<grüße> & 日本 \U0001F600\",\t\"lines\":\"1\r\n2\"}"
		sent := p.send(q, body)
		got := p.one(q)
		equal(p, "body", *got.Body, body)
		equal(p, "message id", *got.MessageId, *sent.MessageId)
		equal(p, "digest", *got.MD5OfBody, *sent.MD5OfMessageBody)
	}},
	{"a deleted message does not come back", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		p.delete(q, p.one(q).ReceiptHandle)
		if got := p.receive(q, wait(2)); len(got) != 0 {
			p.errorf("received %q", *got[0].Body)
		}
	}},
	{"an empty body is refused", func(p *probe) {
		_, err := p.client.SendMessage(p, &sqs.SendMessageInput{QueueUrl: p.queue(nil), MessageBody: aws.String("")})
		p.wantCode("send", err, "MissingParameter", "InvalidParameterValue")
	}},
	{"characters outside of XML are InvalidMessageContents", func(p *probe) {
		q := p.queue(nil)
		for _, body := range []string{"nul \x00", "bell \x07", "\uFFFE"} {
			_, err := p.client.SendMessage(p, &sqs.SendMessageInput{QueueUrl: q, MessageBody: &body})
			wantError[*types.InvalidMessageContents](p, strconv.Quote(body), err)
		}
	}},
	{"a body of 1 MiB is taken", func(p *probe) {
		q := p.queue(nil)
		body := strings.Repeat("x", mebibyte)
		p.send(q, body)
		if got := *p.one(q).Body; got != body {
			p.errorf("a body of %d bytes came back", len(got))
		}
	}},
	{"a body of 1 MiB and a byte is refused", func(p *probe) {
		body := strings.Repeat("x", mebibyte+1)
		_, err := p.client.SendMessage(p, &sqs.SendMessageInput{QueueUrl: p.queue(nil), MessageBody: &body})
		p.wantCode("send", err, "InvalidParameterValue")
	}},
	{"attributes count against the size", func(p *probe) {
		q := p.queue(nil)
		in := &sqs.SendMessageInput{QueueUrl: q, MessageAttributes: map[string]types.MessageAttributeValue{"name": text("value")}}
		rides := len("name") + len("String") + len("value")
		in.MessageBody = aws.String(strings.Repeat("x", mebibyte-rides))
		_, err := p.client.SendMessage(p, in)
		p.must("send what just fits", err)
		in.MessageBody = aws.String(*in.MessageBody + "x")
		_, err = p.client.SendMessage(p, in)
		p.wantCode("send a byte more", err, "InvalidParameterValue")
	}},
	{"the queue's MaximumMessageSize is kept", func(p *probe) {
		q := p.queue(attrs{"MaximumMessageSize": "1024"})
		p.send(q, strings.Repeat("x", 1024))
		body := strings.Repeat("x", 1025)
		_, err := p.client.SendMessage(p, &sqs.SendMessageInput{QueueUrl: q, MessageBody: &body})
		p.wantCode("send", err, "InvalidParameterValue")
	}},
	{"receive refuses a number out of range", func(p *probe) {
		q := p.queue(nil)
		for _, n := range []int32{-1, 11} {
			_, err := p.client.ReceiveMessage(p, &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: n})
			p.wantCode("MaxNumberOfMessages "+strconv.Itoa(int(n)), err, "InvalidParameterValue")
		}
	}},
	{"receive refuses a wait out of range", func(p *probe) {
		q := p.queue(nil)
		for _, n := range []int32{-1, 21} {
			_, err := p.client.ReceiveMessage(p, &sqs.ReceiveMessageInput{QueueUrl: q, WaitTimeSeconds: n})
			p.wantCode("WaitTimeSeconds "+strconv.Itoa(int(n)), err, "InvalidParameterValue")
		}
	}},
	{"receive refuses a visibility out of range", func(p *probe) {
		_, err := p.client.ReceiveMessage(p, &sqs.ReceiveMessageInput{QueueUrl: p.queue(nil), VisibilityTimeout: 43201})
		p.wantCode("receive", err, "InvalidParameterValue")
	}},
	{"receive gives as many as asked for", func(p *probe) {
		q := p.queue(nil)
		for range 12 {
			p.send(q, "x")
		}
		equal(p, "first", len(p.receive(q, upTo(10))), 10)
		equal(p, "second", len(p.receive(q, upTo(10))), 2)
	}},
	{"system attributes say who, when and how often", systemAttributes},
	{"only the system attributes asked for are returned", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		got := p.one(q, func(in *sqs.ReceiveMessageInput) {
			in.MessageSystemAttributeNames = []types.MessageSystemAttributeName{"ApproximateReceiveCount"}
		})
		equal(p, "number of attributes", len(got.Attributes), 1)
		equal(p, "count", got.Attributes["ApproximateReceiveCount"], "1")
	}},
	{"the older AttributeNames is heard too", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		got := p.one(q, func(in *sqs.ReceiveMessageInput) {
			in.MessageSystemAttributeNames = nil
			in.AttributeNames = []types.QueueAttributeName{"SentTimestamp"}
		})
		if got.Attributes["SentTimestamp"] == "" {
			p.errorf("SentTimestamp is missing")
		}
	}},
	{"no system attribute asked for, none returned", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		got := p.one(q, func(in *sqs.ReceiveMessageInput) { in.MessageSystemAttributeNames = nil })
		equal(p, "number of attributes", len(got.Attributes), 0)
	}},
	{"a message group on a standard queue comes back", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x", func(in *sqs.SendMessageInput) { in.MessageGroupId = aws.String("tenant-1") })
		equal(p, "MessageGroupId", p.one(q).Attributes["MessageGroupId"], "tenant-1")
	}},
	{"a message group with a space is refused", func(p *probe) {
		_, err := p.client.SendMessage(p, &sqs.SendMessageInput{
			QueueUrl: p.queue(nil), MessageBody: aws.String("x"), MessageGroupId: aws.String("group 123")})
		p.wantCode("send", err, "InvalidParameterValue")
	}},
	{"a deduplication id on a standard queue is refused", func(p *probe) {
		_, err := p.client.SendMessage(p, &sqs.SendMessageInput{
			QueueUrl: p.queue(nil), MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("1")})
		p.wantCode("send", err, "InvalidParameterValue")
	}},
	{"2000 messages and 16 workers: each exactly once", manyWorkers},
}

func systemAttributes(p *probe) {
	q := p.queue(nil)
	before := time.Now().Add(-time.Second).UnixMilli()
	p.send(q, "x")
	first := p.one(q, hideFor(1)).Attributes
	second := p.one(q).Attributes
	equal(p, "count at first", first["ApproximateReceiveCount"], "1")
	equal(p, "count at second", second["ApproximateReceiveCount"], "2")
	for _, name := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp", "SenderId"} {
		if first[name] == "" {
			p.errorf("%s is missing", name)
		}
		equal(p, name+" at the second receive", second[name], first[name])
	}
	sent, err := strconv.ParseInt(first["SentTimestamp"], 10, 64)
	p.must("SentTimestamp", err)
	if sent < before || sent > time.Now().Add(time.Second).UnixMilli() {
		p.errorf("SentTimestamp is %d, which is not now in milliseconds", sent)
	}
}
