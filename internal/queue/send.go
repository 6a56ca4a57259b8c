package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tallyman/contract"
)

// Message is a task to be sent.
type Message struct {
	Body        []byte
	Delay       time.Duration // at most 15 minutes, in whole seconds
	TraceParent string
}

// Limits of SendMessageBatch, and of how many of ours are under way for one queue.
const (
	maxBatch      = 10
	maxBatchBytes = 1 << 20
	maxInFlight   = 16
)

// Send hands a message to SQS and returns when SQS has it. Callers that send at the same time share a
// SendMessageBatch: a full batch goes at once, a smaller one as soon as no other is under way, so nobody
// waits for company and a busy api makes a tenth of the calls.
//
// When ctx ends first, whether SQS has the message is unknown: ErrUnavailable.
func (c *Client) Send(ctx context.Context, url string, m Message) error {
	return answer(ctx, url, c.batcher(url).add(ctx, m))
}

func answer(ctx context.Context, url string, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return wrap(ctx.Err(), "send to", url)
	}
}

// SendAll sends many and gives an error for each, nil where SQS has it.
func (c *Client) SendAll(ctx context.Context, url string, all []Message) []error {
	b := c.batcher(url)
	waits := make([]<-chan error, len(all))
	for i, m := range all {
		waits[i] = b.add(ctx, m)
	}
	errs := make([]error, len(all))
	for i, w := range waits {
		errs[i] = answer(ctx, url, w)
	}
	return errs
}

func (c *Client) batcher(url string) *batcher {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.batches[url]
	if b == nil {
		b = &batcher{client: c, url: url}
		c.batches[url] = b
	}
	return b
}

// batcher collects the messages of one queue.
type batcher struct {
	client *Client
	url    string

	mu       sync.Mutex
	waiting  []*sending
	inFlight int
}

type sending struct {
	ctx  context.Context
	m    Message
	done chan error // of one place: nobody has to wait for the answer
}

func (b *batcher) add(ctx context.Context, m Message) <-chan error {
	s := &sending{ctx: ctx, m: m, done: make(chan error, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, s)
	b.dispatch()
	return s.done
}

// dispatch starts as many batches as may go now; b.mu is held.
func (b *batcher) dispatch() {
	for len(b.waiting) > 0 && b.inFlight < maxInFlight && (b.inFlight == 0 || len(b.waiting) >= maxBatch) {
		batch := b.take()
		if len(batch) == 0 {
			continue
		}
		b.inFlight++
		go b.send(batch)
	}
}

// take cuts the next batch off, within SQS's number and bytes; who gave up waiting is answered and left out.
func (b *batcher) take() []*sending {
	var batch []*sending
	bytes := 0
	for len(b.waiting) > 0 && len(batch) < maxBatch {
		s := b.waiting[0]
		size := len(s.m.Body) + len(s.m.TraceParent) + 128 // the attributes' names and types
		if len(batch) > 0 && bytes+size > maxBatchBytes {
			break
		}
		b.waiting = b.waiting[1:]
		if s.ctx.Err() != nil {
			s.done <- fmt.Errorf("send to %s: %w", b.url, s.ctx.Err())
			continue
		}
		bytes += size
		batch = append(batch, s)
	}
	return batch
}

func (b *batcher) send(batch []*sending) {
	ctx, cancel := b.together(batch)
	defer cancel()
	entries := make([]types.SendMessageBatchRequestEntry, len(batch))
	for i, s := range batch {
		entries[i] = s.m.entry(i)
	}
	out, err := b.client.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &b.url, Entries: entries})
	errs := b.answers(len(batch), out, err)
	for i, s := range batch {
		s.done <- errs[i]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight--
	b.dispatch()
}

// together is the context of a call that belongs to every sender: it does not end with the first who gives
// up, but with the last, so that no retry sends what nobody waits for any more.
func (b *batcher) together(batch []*sending) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), b.client.timeout)
	var waiting atomic.Int64
	waiting.Store(int64(len(batch)))
	for _, s := range batch {
		stop := context.AfterFunc(s.ctx, func() {
			if waiting.Add(-1) == 0 {
				cancel()
			}
		})
		context.AfterFunc(ctx, func() { stop() })
	}
	return ctx, cancel
}

func (m *Message) entry(place int) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{
		Id: aws.String(strconv.Itoa(place)), MessageBody: aws.String(string(m.Body)),
		DelaySeconds: int32(m.Delay / time.Second),
		MessageAttributes: map[string]types.MessageAttributeValue{
			contract.AttributeVersion: text(strconv.Itoa(contract.TaskVersion)),
		},
	}
	if m.TraceParent != "" {
		e.MessageAttributes[contract.AttributeTraceParent] = text(m.TraceParent)
	}
	return e
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

// answers gives each message its error. A 200 says nothing yet: each entry was taken or was not.
func (b *batcher) answers(n int, out *sqs.SendMessageBatchOutput, err error) []error {
	errs := make([]error, n)
	if err == nil {
		err = errors.New("SQS did not mention the message in its answer")
	} else {
		out = &sqs.SendMessageBatchOutput{}
	}
	for i := range errs {
		errs[i] = wrap(err, "send to", b.url)
	}
	for _, ok := range out.Successful {
		if i, err := strconv.Atoi(aws.ToString(ok.Id)); err == nil && i >= 0 && i < n {
			errs[i] = nil
		}
	}
	for _, bad := range out.Failed {
		i, err := strconv.Atoi(aws.ToString(bad.Id))
		if err != nil || i < 0 || i >= n {
			continue
		}
		refusal := fmt.Errorf("%s: %s", aws.ToString(bad.Code), aws.ToString(bad.Message))
		switch {
		case bad.SenderFault && ofTheMessage(aws.ToString(bad.Code), aws.ToString(bad.Message)):
			errs[i] = fmt.Errorf("send to %s: %w", b.url, &Refusal{aws.ToString(bad.Code), aws.ToString(bad.Message)})
		case bad.SenderFault:
			errs[i] = fmt.Errorf("send to %s: %w", b.url, refusal)
		default:
			errs[i] = wrap(refusal, "send to", b.url)
		}
	}
	return errs
}

// ofTheMessage tells whether a refusal of a batch's entry is about what the message is: its characters, or its size.
// The sender's fault is a missing right as well, and of one code SQS says both a size and a delay, so its words
// must tell; what they do not tell is tried again.
func ofTheMessage(code, words string) bool {
	return code == "InvalidMessageContents" ||
		code == "InvalidParameterValue" && strings.Contains(words, "Message must be shorter than")
}
