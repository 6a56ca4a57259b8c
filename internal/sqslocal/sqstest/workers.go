package sqstest

import (
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	manyMessages = 2000
	workers      = 16
)

// manyWorkers sends and receives from all sides at once. Visibility is long, so
// that whatever is seen twice was delivered twice by mistake.
func manyWorkers(p *probe) {
	q := p.queue(attrs{"VisibilityTimeout": "600"})
	tally := &tally{seen: map[string]int{}}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { p.sendShare(q, w) })
		group.Go(func() { p.receiveShare(q, tally) })
	}
	group.Wait()
	equal(p, "different messages received", len(tally.seen), manyMessages)
	for body, n := range tally.seen {
		if n != 1 {
			p.errorf("message %s was received %d times", body, n)
		}
	}
	equal(p, "visible, in flight, delayed", p.counters(q), [3]int{})
}

// tally counts what all workers received.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
}

// add counts bodies and tells whether all messages have been seen.
func (t *tally) add(messages []types.Message) (all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range messages {
		t.seen[*m.Body]++
	}
	return len(t.seen) >= manyMessages
}

// sendShare runs on a worker's goroutine, so it must not end the check: it
// notes an error and returns.
func (p *probe) sendShare(queue *string, worker int) {
	for i := worker * 10; i < manyMessages; i += workers * 10 {
		var entries []types.SendMessageBatchRequestEntry
		for j := i; j < i+10; j++ {
			entries = append(entries, types.SendMessageBatchRequestEntry{
				Id: aws.String(fmt.Sprint(j)), MessageBody: aws.String(fmt.Sprintf("message-%d", j))})
		}
		out, err := p.client.SendMessageBatch(p, &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: entries})
		if err != nil || len(out.Successful) != 10 {
			p.errorf("send batch: %v", err)
			return
		}
	}
}

func (p *probe) receiveShare(queue *string, seen *tally) {
	for {
		out, err := p.client.ReceiveMessage(p, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			p.errorf("receive: %v", err)
			return
		}
		var entries []types.DeleteMessageBatchRequestEntry
		for _, m := range out.Messages {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
		}
		if len(entries) > 0 {
			if _, err := p.client.DeleteMessageBatch(p, &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: entries}); err != nil {
				p.errorf("delete batch: %v", err)
				return
			}
		}
		if seen.add(out.Messages) {
			return
		}
	}
}
