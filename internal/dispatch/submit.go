package dispatch

import (
	"context"
	"fmt"
	"time"

	"tallyman/contract"
	"tallyman/internal/queue"
)

type traceKey struct{}

// WithTrace makes tasks sent under the context carry a W3C traceparent.
func WithTrace(ctx context.Context, traceParent string) context.Context {
	return context.WithValue(ctx, traceKey{}, traceParent)
}

// Submit makes a run: it says `submitted` with the whole task, sends the task, says `queued`. An error
// means that `submitted` may not be stored, so nothing is sent and nothing need exist. Otherwise the run
// exists: queued, or accepted where SQS was away or slow; the scheduler's relay will send it again.
func (d *Dispatcher) Submit(ctx context.Context, t contract.Task) (contract.State, error) {
	body, message, err := d.message(ctx, &t)
	if err != nil {
		return "", err
	}
	at := t.SubmittedAt // of a first run: a repeat says the very same
	if t.Run > 1 {
		at = d.at()
	}
	if err := d.say(ctx, contract.Submitted, &t, at, body); err != nil {
		return "", err
	}
	return d.sent(ctx, &t, message), nil
}

// sent gives the state of a run that exists, after trying to send its task.
func (d *Dispatcher) sent(ctx context.Context, t *contract.Task, m queue.Message) contract.State {
	if err := d.send(ctx, t, m); err != nil {
		d.log.Info("not sent, the relay will see to it", "jobId", t.JobID, "run", t.Run, "error", err)
		return contract.StateAccepted
	}
	return contract.StateQueued
}

// Resend sends the task of a run that exists once more, and says `queued`. The claim drops a second copy.
func (d *Dispatcher) Resend(ctx context.Context, t contract.Task) error {
	_, message, err := d.message(ctx, &t)
	if err != nil {
		return err
	}
	return d.send(ctx, &t, message)
}

// send gives SQS a bounded time, then says that it has the task.
func (d *Dispatcher) send(ctx context.Context, t *contract.Task, m queue.Message) error {
	bounded, cancel := context.WithTimeout(ctx, d.sendTimeout)
	defer cancel()
	if err := d.sender.Send(bounded, d.urls[t.Queue], m); err != nil {
		return fmt.Errorf("send %s/%d to queue %s: %w", t.JobID, t.Run, t.Queue, err)
	}
	return d.say(ctx, contract.Queued, t, d.at(), nil)
}

// message encodes the task. Its delay follows from the task's own NotBefore, so a task that is sent again
// waits only for what is left of it.
func (d *Dispatcher) message(ctx context.Context, t *contract.Task) ([]byte, queue.Message, error) {
	if _, ok := d.urls[t.Queue]; !ok {
		return nil, queue.Message{}, contract.Errorf(contract.CodeUnknownQueue, "queue", "no queue %q is configured", t.Queue)
	}
	body, err := t.Encode()
	if err != nil {
		return nil, queue.Message{}, err
	}
	var delay time.Duration
	if wait := t.NotBefore.Sub(d.now()); !t.NotBefore.IsZero() && wait > 0 {
		delay = (wait + time.Second - 1).Truncate(time.Second)
	}
	if delay > contract.MaxDelaySeconds*time.Second {
		return nil, queue.Message{}, contract.Errorf(contract.CodeInvalidValue, "notBefore",
			"%s ahead, SQS can hold a message back %d s", delay, contract.MaxDelaySeconds)
	}
	trace, _ := ctx.Value(traceKey{}).(string)
	return body, queue.Message{Body: body, Delay: delay, TraceParent: trace}, nil
}
