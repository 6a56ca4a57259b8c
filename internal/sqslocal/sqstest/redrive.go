package sqstest

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var redriveChecks = []check{
	{"a message received too often becomes a dead letter", func(p *probe) {
		dead := p.queue(nil)
		q := p.queue(attrs{"VisibilityTimeout": "1", "RedrivePolicy": redriveTo(p.arn(dead), 2)})
		sent := p.send(q, "poison", withAttributes(kenobi))
		p.one(q)
		p.one(q)
		if got := p.receive(q, wait(2)); len(got) != 0 {
			p.errorf("received a third time")
		}
		m := p.one(dead, named("All"))
		equal(p, "message id", *m.MessageId, *sent.MessageId)
		equal(p, "body", *m.Body, "poison")
		equal(p, "digest of attributes", aws.ToString(m.MD5OfMessageAttributes), kenobiDigest)
		equal(p, "count", m.Attributes["ApproximateReceiveCount"], "3")
		equal(p, "left in the source", p.counters(q), [3]int{})
	}},
	{"a dead letter names its source", func(p *probe) {
		dead := p.queue(nil)
		q := p.queue(attrs{"RedrivePolicy": redriveTo(p.arn(dead), 1)})
		p.send(q, "poison")
		p.must("release", p.changeVisibility(q, p.one(q).ReceiptHandle, 0))
		p.none(q, "after the last receive")
		equal(p, "DeadLetterQueueSourceArn", p.one(dead).Attributes["DeadLetterQueueSourceArn"], p.arn(q))
	}},
	{"the maximum may be a string", func(p *probe) {
		dead := p.queue(nil)
		policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"5"}`, p.arn(dead))
		p.queue(attrs{"RedrivePolicy": policy})
	}},
	{"the policy can be read back", func(p *probe) {
		dead := p.queue(nil)
		q := p.queue(attrs{"RedrivePolicy": redriveTo(p.arn(dead), 7)})
		got := p.attributes(q, types.QueueAttributeNameRedrivePolicy)["RedrivePolicy"]
		if !strings.Contains(got, p.arn(dead)) || !strings.Contains(got, "7") {
			p.errorf("RedrivePolicy is %s", got)
		}
	}},
	{"the policy can be taken away", func(p *probe) {
		dead := p.queue(nil)
		q := p.queue(attrs{"RedrivePolicy": redriveTo(p.arn(dead), 1)})
		p.must("set", p.set(q, attrs{"RedrivePolicy": ""}))
		if got, ok := p.attributes(q, types.QueueAttributeNameAll)["RedrivePolicy"]; ok {
			p.errorf("RedrivePolicy is still %s", got)
		}
		p.send(q, "x")
		for range 2 {
			p.must("release", p.changeVisibility(q, p.one(q).ReceiptHandle, 0))
		}
	}},
	{"a policy for a queue that does not exist is refused", func(p *probe) {
		q := p.queue(nil)
		err := p.set(q, attrs{"RedrivePolicy": redriveTo(p.arn(q)+"-none", 3)})
		p.wantCode("set", err, "InvalidParameterValue", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
	}},
	{"a policy that is no JSON is refused", func(p *probe) {
		p.wantCode("set", p.set(p.queue(nil), attrs{"RedrivePolicy": "once"}), "InvalidParameterValue", "InvalidAttributeValue")
	}},
	{"a policy without a maximum is refused", func(p *probe) {
		dead := p.queue(nil)
		policy := fmt.Sprintf(`{"deadLetterTargetArn":%q}`, p.arn(dead))
		p.wantCode("set", p.set(p.queue(nil), attrs{"RedrivePolicy": policy}), "InvalidParameterValue", "InvalidAttributeValue")
	}},
	{"a dead-letter queue lists its sources", func(p *probe) {
		dead := p.queue(nil)
		q := p.queue(attrs{"RedrivePolicy": redriveTo(p.arn(dead), 3)})
		p.queue(nil)
		out, err := p.client.ListDeadLetterSourceQueues(p, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead})
		p.must("list sources", err)
		equal(p, "sources", strings.Join(out.QueueUrls, " "), *q)
	}},
}

func redriveTo(arn string, most int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, most)
}
