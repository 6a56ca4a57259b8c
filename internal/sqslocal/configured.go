package sqslocal

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tallyman/contract"
)

const (
	// maxReceives is how often a message may be received without a claim before it is set aside.
	maxReceives = 5
	// deadRetention is the longest that SQS keeps a message, in seconds.
	deadRetention = "1209600"
)

func deadLetterOf(queue string) string { return queue + "-dead" }

// EnsureQueues makes each configured queue with its dead-letter queue, and fills in their URLs. Those that are
// there already get the settings, and keep their messages.
func (s *Server) EnsureQueues(ctx context.Context, c *contract.Config) error {
	for i := range c.Queues {
		if name := c.Queues[i].Name; c.Queue(deadLetterOf(name)) != nil {
			return fmt.Errorf("queue %q has the name of the dead-letter queue that is made for %q; rename one of the two", deadLetterOf(name), name)
		}
	}
	for i := range c.Queues {
		q := &c.Queues[i]
		dead, err := s.EnsureQueue(ctx, deadLetterOf(q.Name), map[string]string{"MessageRetentionPeriod": deadRetention})
		if err != nil {
			return err
		}
		redrive, err := json.Marshal(map[string]any{
			"deadLetterTargetArn": s.QueueARN(deadLetterOf(q.Name)), "maxReceiveCount": maxReceives,
		})
		if err != nil {
			return err
		}
		q.DeadLetter = dead
		q.URL, err = s.EnsureQueue(ctx, q.Name, map[string]string{
			"VisibilityTimeout":      strconv.Itoa(int(time.Duration(q.Visibility) / time.Second)),
			"MessageRetentionPeriod": strconv.Itoa(int(time.Duration(q.Retention) / time.Second)),
			"RedrivePolicy":          string(redrive),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
