package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"tallyman/contract"
	"tallyman/internal/queue"
)

// SQS reads how queues are set up; *queue.Client is one.
type SQS interface {
	Settings(ctx context.Context, url string) (queue.Settings, error)
	Counts(ctx context.Context, url string) (queue.Counts, error)
}

// leastVisibility is how long a message must stay hidden: a claim bears with NATS for a minute.
const leastVisibility = 30 * time.Second

// Queues checks every queue as it is configured, and its dead-letter queue.
func Queues(s SQS, config *contract.Config) (checks []Check) {
	for i := range config.Queues {
		q := &config.Queues[i]
		checks = append(checks, Check{Name: "queue " + q.Name, Run: func(ctx context.Context) (string, error) { return examineQueue(ctx, s, q) }})
		if q.DeadLetter != "" {
			checks = append(checks, Check{Name: "dead-letter queue of " + q.Name, Run: func(ctx context.Context) (string, error) {
				return examineDeadLetters(ctx, s, q)
			}})
		}
	}
	return checks
}

func examineQueue(ctx context.Context, s SQS, q *contract.Queue) (string, error) {
	set, err := s.Settings(ctx, q.URL)
	if err != nil {
		return "", because(err, q.URL)
	}
	c, err := s.Counts(ctx, q.URL)
	if err != nil {
		return "", because(err, q.URL)
	}
	var faults []error
	if set.Visibility < leastVisibility {
		faults = append(faults, fmt.Errorf("its visibility timeout is %s, too short for a claim: set VisibilityTimeout to %s or more", set.Visibility, leastVisibility))
	}
	if want := time.Duration(q.Retention); want > 0 && set.Retention != want {
		faults = append(faults, fmt.Errorf("it keeps messages for %s, and the configuration says %s: runs would end as Expired too early or too late; "+
			"set MessageRetentionPeriod, or `retention` in the configuration", set.Retention, want))
	}
	if err := redrive(set.Redrive, q.DeadLetter); err != nil {
		faults = append(faults, err)
	}
	return fmt.Sprintf("%d visible, %d in flight, %d delayed; visibility %s, retention %s", c.Visible, c.InFlight, c.Delayed, set.Visibility, set.Retention),
		oneLine(faults)
}

// redrive tells whether SQS sets messages aside where the sweep looks for them.
func redrive(policy, deadLetter string) error {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
	}
	if policy != "" {
		if err := json.Unmarshal([]byte(policy), &p); err != nil {
			return fmt.Errorf("its redrive policy cannot be read: %w", err)
		}
	}
	name := p.Target[strings.LastIndex(p.Target, ":")+1:]
	switch {
	case p.Target == "" && deadLetter == "":
		return nil
	case p.Target == "":
		return errors.New("it has no redrive policy, so a message that nobody can take comes back for ever: set one whose target is " + path.Base(deadLetter))
	case deadLetter == "":
		return errors.New("its redrive policy sends messages to " + name + ", which no `deadLetter` in the configuration names, so their jobs never end")
	case name != path.Base(deadLetter):
		return fmt.Errorf("its redrive policy sends messages to %s, and the configuration looks for them in %s: make both the same", name, path.Base(deadLetter))
	}
	return nil
}

func examineDeadLetters(ctx context.Context, s SQS, q *contract.Queue) (string, error) {
	c, err := s.Counts(ctx, q.DeadLetter)
	if err != nil {
		return "", because(err, q.DeadLetter)
	}
	return fmt.Sprintf("%d messages, %d of them in hand", c.Visible+c.InFlight+c.Delayed, c.InFlight), nil
}

// because adds what to do.
func because(err error, url string) error {
	switch {
	case errors.Is(err, queue.ErrNoQueue):
		return fmt.Errorf("%w; make it, or mend its URL in the configuration", err)
	case strings.Contains(err.Error(), "AccessDenied"):
		return fmt.Errorf("%w; allow sqs:GetQueueAttributes on %s to this component's role (docs/permissions.md)", err, path.Base(url))
	}
	return fmt.Errorf("%w; see AWS_REGION, the endpoint and the credentials of this component", err)
}

func oneLine(faults []error) error {
	if len(faults) == 0 {
		return nil
	}
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}
