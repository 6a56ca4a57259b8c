package sqslocal_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/internal/sqslocal"
)

// FuzzRequest: whatever comes, the answer is never our fault (5xx) and never a
// panic, and it is JSON.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{
		{"CreateQueue", `{"QueueName":"q","Attributes":{"DelaySeconds":"0","RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:q\",\"maxReceiveCount\":\"1\"}"},"tags":{"a":"b"}}`},
		{"GetQueueUrl", `{"QueueName":"q","QueueOwnerAWSAccountId":"000000000000"}`},
		{"ListQueues", `{"QueueNamePrefix":"q","MaxResults":1,"NextToken":"cQ=="}`},
		{"GetQueueAttributes", `{"QueueUrl":"q","AttributeNames":["All","Policy"]}`},
		{"SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"VisibilityTimeout":"1","KmsMasterKeyId":"","RedriveAllowPolicy":"{}"}}`},
		{"ListDeadLetterSourceQueues", `{"QueueUrl":"q","MaxResults":1000}`},
		{"TagQueue", `{"QueueUrl":"q","Tags":{"k":"v"}}`},
		{"UntagQueue", `{"QueueUrl":"q","TagKeys":["k"]}`},
		{"ListQueueTags", `{"QueueUrl":"q"}`},
		{"SendMessage", `{"QueueUrl":"http://127.0.0.1/000000000000/q","MessageBody":"\ud800x","DelaySeconds":1,"MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"AA=="}},"MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"Root=1"}},"MessageGroupId":"g"}`},
		{"SendMessageBatch", `{"QueueUrl":"q","Entries":[{"Id":"1","MessageBody":"x","MessageAttributes":{"n":{"DataType":"Number","StringValue":"1e400"}}},{"Id":"2"}]}`},
		{"ReceiveMessage", `{"QueueUrl":"q","MaxNumberOfMessages":10,"VisibilityTimeout":0,"WaitTimeSeconds":20,"AttributeNames":["All"],"MessageAttributeNames":["a.*",".*"]}`},
		{"DeleteMessage", `{"QueueUrl":"q","ReceiptHandle":"AQ=="}`},
		{"DeleteMessageBatch", `{"QueueUrl":"q","Entries":[{"Id":"1","ReceiptHandle":"x"},{"Id":"2","ReceiptHandle":""}]}`},
		{"ChangeMessageVisibility", `{"QueueUrl":"q","ReceiptHandle":"AQ==","VisibilityTimeout":0}`},
		{"ChangeMessageVisibilityBatch", `{"QueueUrl":"q","Entries":[{"Id":"1","ReceiptHandle":"x","VisibilityTimeout":99999999999999999999}]}`},
		{"PurgeQueue", `{"QueueUrl":"%"}`},
		{"DeleteQueue", `{"QueueUrl":"http://[::1/"}`},
		{"SendMessage", `null`}, {"SendMessage", `[]`}, {"SendMessage", `{"MessageBody":null}`}, {"", "\x00"}, {"ReceiveMessage", `{"QueueUrl":{}}`},
	} {
		f.Add(seed[0], seed[1])
	}
	s, err := sqslocal.New(sqslocal.Options{Clock: clockwork.NewFakeClock()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	if _, err := s.EnsureQueue(f.Context(), "q", nil); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, operation, body string) {
		// A long poll of an empty queue ends with its client, here soon.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		s.Handler().ServeHTTP(w, r)
		switch {
		case ctx.Err() != nil:
		case w.Code >= 500:
			t.Errorf("status %d: %s", w.Code, w.Body)
		case !json.Valid(w.Body.Bytes()):
			t.Errorf("the answer is no JSON: %q", w.Body)
		}
	})
}
