package sqstest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var queueChecks = []check{
	{"create names the queue in its URL", func(p *probe) {
		name := newName()
		url := *p.namedQueue(name, nil)
		if want := "/" + p.target.Account + "/" + name; !strings.HasSuffix(url, want) {
			p.errorf("queue URL is %s, want it to end in %s", url, want)
		}
	}},
	{"create twice is one queue", func(p *probe) {
		name := newName()
		with := attrs{"VisibilityTimeout": "7", "DelaySeconds": "3"}
		first := *p.namedQueue(name, with)
		equal(p, "URL of the same create", *p.namedQueue(name, with), first)
		equal(p, "URL of a create without attributes", *p.namedQueue(name, nil), first)
	}},
	{"create with another value is QueueNameExists", func(p *probe) {
		name := newName()
		p.namedQueue(name, attrs{"VisibilityTimeout": "7"})
		_, err := p.client.CreateQueue(p, &sqs.CreateQueueInput{QueueName: &name, Attributes: attrs{"VisibilityTimeout": "8"}})
		wantError[*types.QueueNameExists](p, "create", err)
	}},
	{"create with another value than the default is QueueNameExists", func(p *probe) {
		name := newName()
		p.namedQueue(name, nil)
		_, err := p.client.CreateQueue(p, &sqs.CreateQueueInput{QueueName: &name, Attributes: attrs{"DelaySeconds": "1"}})
		wantError[*types.QueueNameExists](p, "create", err)
	}},
	{"create refuses illegal names", func(p *probe) {
		for _, name := range []string{"a b", "a/b", "ü", strings.Repeat("x", 81)} {
			_, err := p.client.CreateQueue(p, &sqs.CreateQueueInput{QueueName: &name})
			p.wantCode(fmt.Sprintf("create %q", name), err, "InvalidParameterValue")
		}
	}},
	{"create refuses an unknown attribute", func(p *probe) {
		_, err := p.client.CreateQueue(p, &sqs.CreateQueueInput{QueueName: aws.String(newName()), Attributes: attrs{"Colour": "red"}})
		wantError[*types.InvalidAttributeName](p, "create", err)
	}},
	{"create refuses a value out of range", func(p *probe) {
		_, err := p.client.CreateQueue(p, &sqs.CreateQueueInput{QueueName: aws.String(newName()), Attributes: attrs{"DelaySeconds": "901"}})
		wantError[*types.InvalidAttributeValue](p, "create", err)
	}},
	{"get URL finds the queue", func(p *probe) {
		name := newName()
		want := *p.namedQueue(name, nil)
		out, err := p.client.GetQueueUrl(p, &sqs.GetQueueUrlInput{QueueName: &name})
		p.must("get URL", err)
		equal(p, "URL", *out.QueueUrl, want)
	}},
	{"list takes a prefix", func(p *probe) {
		prefix := newName()
		var want []string
		for i := range 3 {
			want = append(want, *p.namedQueue(fmt.Sprintf("%s-%d", prefix, i), nil))
		}
		p.queue(nil)
		out, err := p.client.ListQueues(p, &sqs.ListQueuesInput{QueueNamePrefix: &prefix})
		p.must("list", err)
		slices.Sort(out.QueueUrls)
		equal(p, "queues", strings.Join(out.QueueUrls, " "), strings.Join(want, " "))
	}},
	{"list has pages", listPages},
	{"delete removes the queue", func(p *probe) {
		name := newName()
		q := p.namedQueue(name, nil)
		p.send(q, "gone")
		_, err := p.client.DeleteQueue(p, &sqs.DeleteQueueInput{QueueUrl: q})
		p.must("delete queue", err)
		_, err = p.client.GetQueueUrl(p, &sqs.GetQueueUrlInput{QueueName: &name})
		wantError[*types.QueueDoesNotExist](p, "get URL", err)
	}},
	{"every operation on a missing queue is QueueDoesNotExist", missingQueue},
	{"purge empties the queue", func(p *probe) {
		q := p.queue(nil)
		for range 3 {
			p.send(q, "x")
		}
		p.send(q, "later", delayed(900))
		p.one(q)
		_, err := p.client.PurgeQueue(p, &sqs.PurgeQueueInput{QueueUrl: q})
		p.must("purge", err)
		equal(p, "visible, in flight, delayed", p.counters(q), [3]int{})
	}},
	{"purge twice in a minute is PurgeQueueInProgress", func(p *probe) {
		q := p.queue(nil)
		_, err := p.client.PurgeQueue(p, &sqs.PurgeQueueInput{QueueUrl: q})
		p.must("purge", err)
		_, err = p.client.PurgeQueue(p, &sqs.PurgeQueueInput{QueueUrl: q})
		wantError[*types.PurgeQueueInProgress](p, "second purge", err)
	}},
	{"tags can be set, read and removed", func(p *probe) {
		q := p.queue(nil)
		_, err := p.client.TagQueue(p, &sqs.TagQueueInput{QueueUrl: q, Tags: attrs{"a": "1", "b": "2", "c": ""}})
		p.must("tag", err)
		_, err = p.client.TagQueue(p, &sqs.TagQueueInput{QueueUrl: q, Tags: attrs{"a": "3"}})
		p.must("tag again", err)
		_, err = p.client.UntagQueue(p, &sqs.UntagQueueInput{QueueUrl: q, TagKeys: []string{"b", "never"}})
		p.must("untag", err)
		p.wantTags(q, "map[a:3 c:]")
	}},
	{"tags can come with the queue", func(p *probe) {
		out, err := p.client.CreateQueue(p, &sqs.CreateQueueInput{QueueName: aws.String(newName()), Tags: attrs{"team": "books"}})
		p.must("create", err)
		p.wantTags(out.QueueUrl, "map[team:books]")
	}},
}

func (p *probe) wantTags(queue *string, want string) {
	out, err := p.client.ListQueueTags(p, &sqs.ListQueueTagsInput{QueueUrl: queue})
	p.must("list tags", err)
	equal(p, "tags", fmt.Sprint(out.Tags), want)
}

func listPages(p *probe) {
	prefix := newName()
	for i := range 5 {
		p.namedQueue(fmt.Sprintf("%s-%d", prefix, i), nil)
	}
	var sizes []int
	seen := map[string]bool{}
	in := &sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(2)}
	for range 5 {
		out, err := p.client.ListQueues(p, in)
		p.must("list", err)
		sizes = append(sizes, len(out.QueueUrls))
		for _, url := range out.QueueUrls {
			seen[url] = true
		}
		if in.NextToken = out.NextToken; in.NextToken == nil || *in.NextToken == "" {
			break
		}
	}
	equal(p, "sizes of the pages", fmt.Sprint(sizes), "[2 2 1]")
	equal(p, "queues on all pages", len(seen), 5)
}

func missingQueue(p *probe) {
	q := p.queue(nil)
	gone := aws.String(*q + "-gone")
	handle := aws.String("handle")
	one := aws.String("1")
	calls := map[string]func() error{
		"send": func() error {
			_, err := p.client.SendMessage(p, &sqs.SendMessageInput{QueueUrl: gone, MessageBody: one})
			return err
		},
		"send batch": func() error {
			_, err := p.client.SendMessageBatch(p, &sqs.SendMessageBatchInput{QueueUrl: gone,
				Entries: []types.SendMessageBatchRequestEntry{{Id: one, MessageBody: one}}})
			return err
		},
		"receive": func() error {
			_, err := p.client.ReceiveMessage(p, &sqs.ReceiveMessageInput{QueueUrl: gone})
			return err
		},
		"delete message": func() error {
			_, err := p.client.DeleteMessage(p, &sqs.DeleteMessageInput{QueueUrl: gone, ReceiptHandle: handle})
			return err
		},
		"change visibility": func() error { return p.changeVisibility(gone, handle, 1) },
		"attributes": func() error {
			_, err := p.client.GetQueueAttributes(p, &sqs.GetQueueAttributesInput{QueueUrl: gone})
			return err
		},
		"purge": func() error {
			_, err := p.client.PurgeQueue(p, &sqs.PurgeQueueInput{QueueUrl: gone})
			return err
		},
		"tags": func() error {
			_, err := p.client.ListQueueTags(p, &sqs.ListQueueTagsInput{QueueUrl: gone})
			return err
		},
	}
	for what, call := range calls {
		wantError[*types.QueueDoesNotExist](p, what, call())
	}
}
