package sqslocal_test

import (
	"strings"
	"testing"

	"tallyman/contract"
	"tallyman/internal/sqslocal"
)

// A queue that is called as another's dead-letter queue would have that one's dead letters for its work, and its own
// jobs would be swept as dead. It is refused before anything is made.
func TestNoQueueIsAnothersDeadLetterQueue(t *testing.T) {
	t.Parallel()
	srv, err := sqslocal.New(sqslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := contract.DecodeConfig([]byte(`{"queues":[{"name":"a","types":[{"name":"probe"}]},{"name":"a-dead","types":[{"name":"probe"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	err = srv.EnsureQueues(t.Context(), &c)
	if err == nil || !strings.Contains(err.Error(), `queue "a-dead" has the name of the dead-letter queue that is made for "a"; rename`) {
		t.Errorf("%v", err)
	}
	if c.Queues[0].URL != "" || c.Queues[0].DeadLetter != "" {
		t.Errorf("it was made all the same: %+v", c.Queues[0])
	}
	c.Queues[1].Name = "b"
	if err := srv.EnsureQueues(t.Context(), &c); err != nil || c.Queues[1].DeadLetter == "" {
		t.Errorf("%v, %+v", err, c.Queues)
	}
}
