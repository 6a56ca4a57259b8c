package sqstest

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type sendEntry = types.SendMessageBatchRequestEntry

var batchChecks = []check{
	{"a batch sends every message", func(p *probe) {
		q := p.queue(nil)
		out, err := p.sendBatch(q, entries(10)...)
		p.must("send batch", err)
		equal(p, "successful", len(out.Successful), 10)
		equal(p, "failed", len(out.Failed), 0)
		for _, e := range out.Successful {
			if aws.ToString(e.MessageId) == "" || aws.ToString(e.MD5OfMessageBody) == "" {
				p.errorf("entry %s has no id or digest", aws.ToString(e.Id))
			}
		}
		equal(p, "received", len(p.receive(q, upTo(10))), 10)
	}},
	{"a batch carries attributes and delays", func(p *probe) {
		q := p.queue(nil)
		_, err := p.sendBatch(q,
			sendEntry{Id: aws.String("a"), MessageBody: aws.String("now"), MessageAttributes: kenobi},
			sendEntry{Id: aws.String("b"), MessageBody: aws.String("later"), DelaySeconds: 900})
		p.must("send batch", err)
		equal(p, "visible, in flight, delayed", p.counters(q), [3]int{1, 0, 1})
		equal(p, "digest", aws.ToString(p.one(q, named("All")).MD5OfMessageAttributes), kenobiDigest)
	}},
	{"a bad entry fails alone", func(p *probe) {
		q := p.queue(nil)
		bad := sendEntry{Id: aws.String("bad"), MessageBody: aws.String("x"), DelaySeconds: 901}
		out, err := p.sendBatch(q, append(entries(2), bad)...)
		p.must("send batch", err)
		equal(p, "successful", len(out.Successful), 2)
		if len(out.Failed) != 1 {
			p.fatalf("%d entries failed, want 1", len(out.Failed))
		}
		failed := out.Failed[0]
		equal(p, "failed entry", aws.ToString(failed.Id), "bad")
		equal(p, "its code", aws.ToString(failed.Code), "InvalidParameterValue")
		equal(p, "sender's fault", failed.SenderFault, true)
	}},
	{"an entry larger than the queue's messages fails alone", func(p *probe) {
		q := p.queue(attrs{"MaximumMessageSize": "1024"})
		big := sendEntry{Id: aws.String("big"), MessageBody: aws.String(strings.Repeat("x", 1025))}
		out, err := p.sendBatch(q, append(entries(1), big)...)
		p.must("send batch", err)
		equal(p, "successful", len(out.Successful), 1)
		equal(p, "failed", len(out.Failed), 1)
	}},
	{"an entry of characters outside of XML fails alone", func(p *probe) {
		q := p.queue(nil)
		bad := sendEntry{Id: aws.String("bad"), MessageBody: aws.String("\"\uFFFF\"")}
		out, err := p.sendBatch(q, append(entries(1), bad)...)
		p.must("send batch", err)
		equal(p, "successful", len(out.Successful), 1)
		if len(out.Failed) != 1 {
			p.fatalf("%d entries failed, want 1", len(out.Failed))
		}
		equal(p, "its code", aws.ToString(out.Failed[0].Code), "InvalidMessageContents")
		equal(p, "sender's fault", out.Failed[0].SenderFault, true)
	}},
	{"an empty batch is EmptyBatchRequest", func(p *probe) {
		q := p.queue(nil)
		_, err := p.client.SendMessageBatch(p, &sqs.SendMessageBatchInput{QueueUrl: q, Entries: []sendEntry{}})
		wantError[*types.EmptyBatchRequest](p, "send", err)
		_, err = p.client.DeleteMessageBatch(p, &sqs.DeleteMessageBatchInput{QueueUrl: q, Entries: []types.DeleteMessageBatchRequestEntry{}})
		wantError[*types.EmptyBatchRequest](p, "delete", err)
	}},
	{"eleven entries are TooManyEntriesInBatchRequest", func(p *probe) {
		_, err := p.sendBatch(p.queue(nil), entries(11)...)
		wantError[*types.TooManyEntriesInBatchRequest](p, "send", err)
	}},
	{"the same id twice is BatchEntryIdsNotDistinct", func(p *probe) {
		_, err := p.sendBatch(p.queue(nil), append(entries(2), entries(1)...)...)
		wantError[*types.BatchEntryIdsNotDistinct](p, "send", err)
	}},
	{"an illegal id is InvalidBatchEntryId", func(p *probe) {
		q := p.queue(nil)
		for _, id := range []string{"a b", "a:b", "", strings.Repeat("x", 81)} {
			_, err := p.sendBatch(q, sendEntry{Id: &id, MessageBody: aws.String("x")})
			wantError[*types.InvalidBatchEntryId](p, fmt.Sprintf("id %q", id), err)
		}
	}},
	{"a batch over 1 MiB is BatchRequestTooLong", func(p *probe) {
		big := entries(2)
		big[0].MessageBody = aws.String(strings.Repeat("x", mebibyte))
		_, err := p.sendBatch(p.queue(nil), big...)
		wantError[*types.BatchRequestTooLong](p, "send", err)
	}},
	{"a batch of 1 MiB is taken", func(p *probe) {
		full := entries(2)
		for i := range full {
			full[i].MessageBody = aws.String(strings.Repeat("x", mebibyte/2))
		}
		out, err := p.sendBatch(p.queue(nil), full...)
		p.must("send batch", err)
		equal(p, "successful", len(out.Successful), 2)
	}},
	{"a batch deletes, and a bad handle fails alone", func(p *probe) {
		q := p.queue(nil)
		_, err := p.sendBatch(q, entries(3)...)
		p.must("send batch", err)
		in := &sqs.DeleteMessageBatchInput{QueueUrl: q, Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("bad"), ReceiptHandle: aws.String("garbage")}}}
		for _, m := range p.receive(q, upTo(10)) {
			in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
		}
		out, err := p.client.DeleteMessageBatch(p, in)
		p.must("delete batch", err)
		equal(p, "successful", len(out.Successful), 3)
		if len(out.Failed) != 1 {
			p.fatalf("%d entries failed, want 1", len(out.Failed))
		}
		equal(p, "failed entry", aws.ToString(out.Failed[0].Id), "bad")
		equal(p, "its code", aws.ToString(out.Failed[0].Code), "ReceiptHandleIsInvalid")
		equal(p, "left", p.counters(q), [3]int{})
	}},
	{"a batch changes visibility", func(p *probe) {
		q := p.queue(nil)
		_, err := p.sendBatch(q, entries(3)...)
		p.must("send batch", err)
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: q}
		for _, m := range p.receive(q, upTo(10)) {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
		}
		out, err := p.client.ChangeMessageVisibilityBatch(p, in)
		p.must("change visibility batch", err)
		equal(p, "successful", len(out.Successful), 3)
		equal(p, "received again", len(p.receive(q, upTo(10))), 3)
	}},
}

// entries are n messages of a batch, with ids and bodies of their own.
func entries(n int) []sendEntry {
	var batch []sendEntry
	for i := range n {
		batch = append(batch, sendEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(fmt.Sprintf("body-%d", i))})
	}
	return batch
}

func (p *probe) sendBatch(queue *string, batch ...sendEntry) (*sqs.SendMessageBatchOutput, error) {
	return p.client.SendMessageBatch(p, &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: batch})
}
