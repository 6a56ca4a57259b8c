package sqslocal_test

import (
	"testing"

	"tallyman/internal/sqslocal"
	"tallyman/internal/sqslocal/sqstest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := serve(t, sqslocal.Options{Path: t.TempDir() + "/sqs.db"})
	sqstest.Exercise(t, sqstest.Target{Endpoint: s.URL()})
}
