package sqslocal_test

import (
	"context"
	"testing"

	"tallyman/internal/sqslocal"
	"tallyman/internal/sqslocal/sqstest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := serve(t, sqslocal.Options{Path: t.TempDir() + "/sqs.db"})
	sqstest.Exercise(t, sqstest.Target{Endpoint: s.URL()})
}

// serve runs a server until the test and its subtests have ended.
func serve(t *testing.T, o sqslocal.Options) *sqslocal.Server {
	t.Helper()
	s, err := sqslocal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s
}
