package sqslocal_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tallyman/internal/sqslocal"
)

// The benchmarks go through the SDK over TCP on a file, with bodies of 512
// bytes; client and server share the processors.
const benchBody = 512

func benchDesk(b *testing.B) desk {
	b.Helper()
	s := serve(b, sqslocal.Options{Path: filepath.Join(b.TempDir(), "sqs.db")})
	return newDesk(b, s, map[string]string{"VisibilityTimeout": "600"})
}

func benchBatch(queue *string) *sqs.SendMessageBatchInput {
	in := &sqs.SendMessageBatchInput{QueueUrl: queue}
	for i := range 10 {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(strings.Repeat("x", benchBody))})
	}
	return in
}

func reportMessages(b *testing.B, messages int64) {
	b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkSendMessage(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			d := benchDesk(b)
			body := strings.Repeat("x", benchBody)
			inParallel(b, workers, func() error {
				_, err := d.client.SendMessage(b.Context(), &sqs.SendMessageInput{QueueUrl: d.queue, MessageBody: &body})
				return err
			})
			reportMessages(b, int64(b.N))
		})
	}
}

func BenchmarkSendMessageBatch(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			d := benchDesk(b)
			inParallel(b, workers, func() error {
				_, err := d.client.SendMessageBatch(b.Context(), benchBatch(d.queue))
				return err
			})
			reportMessages(b, 10*int64(b.N))
		})
	}
}

func BenchmarkReceiveAndDeleteBatch(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			d := benchDesk(b)
			for range b.N {
				if _, err := d.client.SendMessageBatch(b.Context(), benchBatch(d.queue)); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			var deleted atomic.Int64
			inParallel(b, workers, func() error {
				n, err := d.receiveAndDelete()
				deleted.Add(int64(n))
				return err
			})
			reportMessages(b, deleted.Load())
			if deleted.Load() != 10*int64(b.N) {
				b.Errorf("deleted %d of %d messages", deleted.Load(), 10*b.N)
			}
		})
	}
}

func (d desk) receiveAndDelete() (int, error) {
	out, err := d.client.ReceiveMessage(d.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: d.queue, MaxNumberOfMessages: 10})
	if err != nil || len(out.Messages) == 0 {
		return 0, err
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: d.queue}
	for _, m := range out.Messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
	}
	_, err = d.client.DeleteMessageBatch(d.t.Context(), in)
	return len(out.Messages), err
}

// inParallel does work b.N times on so many goroutines.
func inParallel(b *testing.B, workers int, work func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	failed := make(chan error, workers)
	for range workers {
		go func() {
			for left.Add(-1) >= 0 {
				if err := work(); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range workers {
		if err := <-failed; err != nil {
			b.Error(err)
		}
	}
}
