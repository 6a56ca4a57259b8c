package testenv

import (
	"context"
	"testing"
	"time"

	"tallyman/internal/queue"
	"tallyman/internal/sqslocal"
)

// SQS starts an SQS of the test's own; o may choose a clock or faults.
func SQS(t testing.TB, o sqslocal.Options) *sqslocal.Server {
	t.Helper()
	s, err := sqslocal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

// Queue makes a queue with these attributes.
func Queue(t testing.TB, s *sqslocal.Server, name string, attributes map[string]string) (url string) {
	t.Helper()
	url, err := s.EnsureQueue(t.Context(), name, attributes)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// QueueClient speaks to s.
func QueueClient(t testing.TB, s *sqslocal.Server) *queue.Client {
	t.Helper()
	c, err := queue.Open(t.Context(), queue.Options{
		Endpoint: s.URL(), Region: "us-east-1", AccessKey: "local", SecretKey: "local",
		CallTimeout: 30 * time.Second, // for machines that are busy
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
