package sqstest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// The SDK hides the protocol and leaves out what is zero, so that these checks
// speak for themselves.
var protocolChecks = []check{
	{"an error has its type, its query code and status 400", func(p *probe) {
		status, header, body := p.post("AmazonSQS.GetQueueUrl", `{"QueueName":"`+newName()+`"}`)
		equal(p, "status", status, http.StatusBadRequest)
		equal(p, "x-amzn-query-error", header.Get("x-amzn-query-error"), "AWS.SimpleQueueService.NonExistentQueue;Sender")
		equal(p, "__type", body["__type"], any("com.amazonaws.sqs#QueueDoesNotExist"))
		if message, ok := body["message"].(string); !ok || message == "" {
			p.errorf("message is %v", body["message"])
		}
	}},
	{"answers are JSON 1.0", func(p *probe) {
		status, header, _ := p.post("AmazonSQS.ListQueues", `{}`)
		equal(p, "status", status, http.StatusOK)
		equal(p, "Content-Type", header.Get("Content-Type"), "application/x-amz-json-1.0")
	}},
	{"an unknown operation is the caller's mistake", func(p *probe) {
		status, _, _ := p.post("AmazonSQS.EatMessage", `{}`)
		equal(p, "status", status, http.StatusBadRequest)
	}},
	{"a body that is no JSON is the caller's mistake", func(p *probe) {
		status, _, _ := p.post("AmazonSQS.SendMessage", `{"QueueUrl":`)
		equal(p, "status", status, http.StatusBadRequest)
	}},
	{"a field of the wrong type is the caller's mistake", func(p *probe) {
		status, _, _ := p.post("AmazonSQS.SendMessage", `{"QueueUrl":7,"MessageBody":[]}`)
		equal(p, "status", status, http.StatusBadRequest)
	}},
	{"a missing queue URL is the caller's mistake", func(p *probe) {
		status, _, _ := p.post("AmazonSQS.SendMessage", `{"MessageBody":"x"}`)
		equal(p, "status", status, http.StatusBadRequest)
	}},
	{"a delay of 0 on the message beats the queue's", func(p *probe) {
		q := p.queue(attrs{"DelaySeconds": "900"})
		status, _, _ := p.post("AmazonSQS.SendMessage", p.json(map[string]any{"QueueUrl": *q, "MessageBody": "x", "DelaySeconds": 0}))
		equal(p, "status", status, http.StatusOK)
		p.one(q)
	}},
	{"a visibility of 0 on the receive leaves the message visible", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x")
		status, _, body := p.post("AmazonSQS.ReceiveMessage", p.json(map[string]any{"QueueUrl": *q, "VisibilityTimeout": 0}))
		equal(p, "status", status, http.StatusOK)
		if messages, ok := body["Messages"].([]any); !ok || len(messages) != 1 {
			p.errorf("received %v", body["Messages"])
		}
		p.one(q)
	}},
	{"a wait of 0 on the receive beats the queue's", func(p *probe) {
		q := p.queue(attrs{"ReceiveMessageWaitTimeSeconds": "20"})
		began := time.Now()
		status, _, _ := p.post("AmazonSQS.ReceiveMessage", p.json(map[string]any{"QueueUrl": *q, "WaitTimeSeconds": 0}))
		equal(p, "status", status, http.StatusOK)
		p.wantSoon("the answer", began)
	}},
	{"an X-Ray header on the request becomes the trace header", func(p *probe) {
		q := p.queue(nil)
		trace := "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"
		p.postWith("AmazonSQS.SendMessage", p.json(map[string]any{"QueueUrl": *q, "MessageBody": "x"}), "X-Amzn-Trace-Id", trace)
		equal(p, "AWSTraceHeader", p.one(q).Attributes["AWSTraceHeader"], trace)
	}},
}

func (p *probe) json(value any) string {
	raw, err := json.Marshal(value)
	p.must("encode", err)
	return string(raw)
}

func (p *probe) post(target, body string) (int, http.Header, map[string]any) {
	return p.postWith(target, body, "", "")
}

func (p *probe) postWith(target, body, name, value string) (int, http.Header, map[string]any) {
	r, err := http.NewRequestWithContext(p, http.MethodPost, p.target.Endpoint+"/", strings.NewReader(body))
	p.must("request", err)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=none")
	if name != "" {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	p.must("post "+target, err)
	defer func() { _ = resp.Body.Close() }() // it has been read to its end
	raw, err := io.ReadAll(resp.Body)
	p.must("read the answer", err)
	fields := map[string]any{}
	if len(bytes.TrimSpace(raw)) > 0 && json.Unmarshal(raw, &fields) != nil {
		p.errorf("the answer is no JSON object: %.100q", raw)
	}
	return resp.StatusCode, resp.Header, fields
}
