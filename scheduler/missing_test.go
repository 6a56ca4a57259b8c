package scheduler

import (
	"errors"
	"strings"
	"testing"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/sqslocal"
	"tallyman/internal/testenv"
)

// A queue that nobody made is named, and once it is made all is well; an SQS that is away is another matter.
func TestAQueueThatIsMissingIsNamedUntilItIsMade(t *testing.T) {
	t.Parallel()
	faults := sqslocal.NewFaults(1)
	srv := testenv.SQS(t, sqslocal.Options{Faults: faults})
	o := Options{Counter: testenv.QueueClient(t, srv), Config: contract.Config{Queues: []contract.Queue{
		{Name: "there", URL: testenv.Queue(t, srv, "there", nil)},
		{Name: "absent", URL: srv.QueueURL("absent"), DeadLetter: srv.QueueURL("absent-dead")},
	}}}
	m := newMissing(&o)
	err := m.round(t.Context())
	if !errors.Is(err, queue.ErrNoQueue) || strings.Contains(err.Error(), "queue there") {
		t.Fatalf("it says: %v", err)
	}
	for _, want := range []string{"queue absent: there is no queue at its url, " + srv.QueueURL("absent"), "its deadLetter, " + srv.QueueURL("absent-dead")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if ready := m.ready(); !errors.Is(ready, queue.ErrNoQueue) {
		t.Errorf("it is ready: %v", ready)
	}
	testenv.Queue(t, srv, "absent", nil)
	testenv.Queue(t, srv, "absent-dead", nil)
	if err := errors.Join(m.round(t.Context()), m.ready()); err != nil {
		t.Errorf("after both were made: %v", err)
	}
	faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	if err := errors.Join(m.round(t.Context()), m.ready()); err != nil {
		t.Errorf("while SQS is away: %v", err)
	}
}
