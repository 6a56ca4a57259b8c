package sqstest

import (
	"context"
	"net/http/httptrace"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// soon is how long after its cause a waiting receive may return. AWS promises
// no figure, and the machine may be busy; it is far from the poll's own end.
const soon = 2 * time.Second

var pollChecks = []check{
	{"a long poll of an empty queue waits its time", func(p *probe) {
		q := p.queue(nil)
		began := time.Now()
		equal(p, "messages", len(p.receive(q, wait(1))), 0)
		if took := time.Since(began); took < 950*time.Millisecond || took > time.Second+soon {
			p.errorf("waited %s, want 1 s", took)
		}
	}},
	{"the queue's wait is the default", func(p *probe) {
		q := p.queue(attrs{"ReceiveMessageWaitTimeSeconds": "1"})
		began := time.Now()
		equal(p, "messages", len(p.receive(q)), 0)
		if took := time.Since(began); took < 950*time.Millisecond {
			p.errorf("waited %s, want 1 s", took)
		}
	}},
	{"a short poll does not wait", func(p *probe) {
		q := p.queue(nil)
		began := time.Now()
		equal(p, "messages", len(p.receive(q)), 0)
		p.wantSoon("the answer", began)
	}},
	{"a long poll does not wait for more than there is", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		began := time.Now()
		equal(p, "messages", len(p.receive(q, wait(20), upTo(10))), 1)
		p.wantSoon("the answer", began)
	}},
	{"a long poll wakes when a message is sent", func(p *probe) {
		q := p.queue(nil)
		woken := p.poll(p, q)
		began := time.Now()
		p.send(q, "x")
		equal(p, "messages", <-woken, 1)
		p.wantSoon("waking", began)
	}},
	{"a long poll wakes when a delay ends", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x", delayed(1))
		began := time.Now()
		p.one(q)
		p.wantSoon("waking", began.Add(time.Second))
	}},
	{"a long poll wakes when a visibility ends", func(p *probe) {
		q := p.queue(attrs{"VisibilityTimeout": "1"})
		p.send(q, "x")
		p.one(q)
		began := time.Now()
		p.one(q)
		p.wantSoon("waking", began.Add(time.Second))
	}},
	{"a long poll wakes when a message is released", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		m := p.one(q)
		woken := p.poll(p, q)
		began := time.Now()
		p.must("release", p.changeVisibility(q, m.ReceiptHandle, 0))
		equal(p, "messages", <-woken, 1)
		p.wantSoon("waking", began)
	}},
	{"two long polls share what is sent", func(p *probe) {
		q := p.queue(nil)
		first, second := p.poll(p, q), p.poll(p, q)
		p.send(q, "x")
		p.send(q, "y")
		equal(p, "messages of the first", <-first, 1)
		equal(p, "messages of the second", <-second, 1)
	}},
	{"a cancelled long poll takes nothing", func(p *probe) {
		q := p.queue(nil)
		for range 5 {
			ctx, cancel := context.WithCancel(p)
			gone := p.poll(ctx, q)
			cancel()
			<-gone
			p.settle(q)
			p.send(q, "x")
			if got := p.receive(q, wait(1)); len(got) != 1 {
				p.fatalf("the message went to a receiver that had gone")
			}
		}
	}},
}

// poll receives on another goroutine and tells how many messages came, -1 for
// an error. It returns when the request is on its way and later ones have been
// answered, so that the server has parked it.
func (p *probe) poll(ctx context.Context, queue *string) <-chan int {
	came, written := make(chan int, 1), make(chan struct{})
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { close(written) },
	})
	go func() {
		out, err := p.client.ReceiveMessage(traced, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 20})
		if err != nil {
			came <- -1
			return
		}
		came <- len(out.Messages)
	}()
	select {
	case <-written:
	case <-p.Done():
		p.fatalf("the long poll was never sent")
	}
	p.settle(queue)
	return came
}

// settle lets the server work off what it has heard, by asking it other things.
func (p *probe) settle(queue *string) {
	for range 5 {
		p.counters(queue)
	}
}

func (p *probe) wantSoon(what string, since time.Time) {
	if took := time.Since(since); took > soon {
		p.errorf("%s took %s", what, took)
	}
}
