package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tallyman/contract"
	"tallyman/internal/queue"
	"tallyman/internal/stream"
)

// lookAtQueues counts every queue, after the documents were read.
func (l *look) lookAtQueues(ctx context.Context) error {
	for i := range l.o.Config.Queues {
		q := &l.o.Config.Queues[i]
		main, dead, err := l.count(ctx, q)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			l.cannot("queue %s: %v", q.Name, err)
			continue
		}
		l.queues = append(l.queues, contract.AuditQueue{
			Queue: q.Name, Visible: main.Visible, InFlight: main.InFlight, Delayed: main.Delayed, DeadLetter: dead,
		})
	}
	return nil
}

// count gives the counters of a queue, and how many messages are in its dead-letter queue.
func (l *look) count(ctx context.Context, q *contract.Queue) (main queue.Counts, dead int, err error) {
	if main, err = l.o.Counter.Counts(ctx, q.URL); err != nil || q.DeadLetter == "" {
		return main, 0, err
	}
	d, err := l.o.Counter.Counts(ctx, q.DeadLetter)
	return main, d.Visible + d.InFlight + d.Delayed, err
}

func inAll(c queue.Counts) int { return c.Visible + c.InFlight + c.Delayed }

// suspectWaiting suspects every queue of which the ledger holds more runs as queued than SQS has messages. A
// run of which there is a record was claimed or barred, and needs no message.
func (l *look) suspectWaiting() {
	waiting := make(map[string]int)
	for id, d := range l.docs {
		if l.waits(id, d) {
			waiting[d.queue]++
		}
	}
	for i := range l.queues {
		q := &l.queues[i]
		q.Waiting = waiting[q.Queue]
		if q.Waiting > messages(q) {
			l.suspect(subject{queue: q.Queue})
		}
	}
}

// waits tells whether a run is queued and nobody has claimed or barred it.
func (l *look) waits(id string, d *doc) bool {
	_, known := l.claims.runs[runName{id, d.run}]
	return d.state == contract.StateQueued && !known
}

func messages(q *contract.AuditQueue) int { return q.Visible + q.InFlight + q.Delayed }

// maxWaiting bounds how many queued runs of a queue are looked at one by one.
const maxWaiting = 1000

// judgeQueue reads again, in that order: which of the runs are queued still, what SQS counts, which of them
// were claimed. So a message that somebody took in between cannot be missed.
func (l *look) judgeQueue(ctx context.Context, name string) ([]suspicion, error) {
	q, i := l.o.Config.Queue(name), slices.IndexFunc(l.queues, func(q contract.AuditQueue) bool { return q.Queue == name })
	switch {
	case q == nil || i < 0: // it was noted as unchecked
		return nil, nil
	case l.queues[i].Waiting > maxWaiting:
		return l.judgeMany(&l.queues[i]), nil
	}
	queued, err := l.stillQueued(ctx, name)
	if err != nil {
		return nil, err
	}
	main, dead, err := l.count(ctx, q)
	if err != nil {
		if ctx.Err() == nil {
			err = nil // it was noted as unchecked, or will be
		}
		return nil, err
	}
	var unclaimed []contract.Job
	for i := range queued {
		_, known, err := l.run(ctx, name, queued[i].JobID, queued[i].Run)
		if err != nil {
			return nil, err
		}
		if !known {
			unclaimed = append(unclaimed, queued[i])
		}
	}
	lost := len(unclaimed) - inAll(main)
	if lost <= 0 {
		return nil, nil
	}
	return missingMessages(q.Name, unclaimed, lost, suspicion{patience: l.counterPatience(lost, dead)}, sendAgain(l.o.QueuedAfter)), nil
}

// counterPatience is for how long SQS's counters must lack messages of runs.
func (l *look) counterPatience(lost, dead int) time.Duration {
	if lost <= dead {
		return letterPatience // the sweep ends those
	}
	return l.o.CounterLag
}

// judgeMany holds all that wait in a queue to all messages, as the look counted them in the same order: documents, then
// messages, then claims. They are too many to be read again, so another audit has to confirm it.
func (l *look) judgeMany(q *contract.AuditQueue) []suspicion {
	lost := q.Waiting - messages(q)
	if lost <= 0 {
		return nil
	}
	s := suspicion{patience: l.counterPatience(lost, q.DeadLetter) + l.o.Wait}
	var ids []string
	for id, d := range l.docs {
		if d.queue == q.Queue && l.waits(id, d) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // ids begin with when they were made, most of them
	s.finding = someMissing(q.Queue, ids, lost, sendAgain(l.o.QueuedAfter))
	return []suspicion{s}
}

// stillQueued reads the documents of the runs that the look held as queued and unclaimed, at most maxWaiting.
func (l *look) stillQueued(ctx context.Context, name string) (all []contract.Job, err error) {
	for id, d := range l.docs {
		if d.queue != name || !l.waits(id, d) {
			continue
		}
		e, err := l.o.Ledger.Get(ctx, contract.JobKey(id))
		if err != nil && !errors.Is(err, stream.ErrNotFound) {
			return nil, err
		}
		if j := decodeJob(e, id); j != nil && j.State == contract.StateQueued {
			all = append(all, *j)
		}
	}
	slices.SortFunc(all, func(a, b contract.Job) int { return a.SubmittedAt.Compare(b.SubmittedAt.Time) })
	return all, nil
}

// sendAgain says who sends a run whose message is lost.
func sendAgain(after time.Duration) string {
	const byHand = "`tallyman cancel JOB`, then `tallyman requeue JOB`"
	if after == 0 {
		return "nobody sends a run again whose message is lost, for the scheduler is told not to (--queued-after 0): " + byHand
	}
	return fmt.Sprintf("the scheduler sends a run again when its queue was empty for %s (--queued-after); to not wait: ", after) + byHand
}

// missingMessages names each run where all are lost, else among which the lost ones are.
func missingMessages(queue string, waiting []contract.Job, lost int, s suspicion, do string) (all []suspicion) {
	if lost == len(waiting) {
		for i := range waiting {
			j := &waiting[i]
			s.evidence = j.JobID
			s.finding = contract.Finding{
				Kind: contract.MessageMissing, JobID: j.JobID, Run: j.Run, Queue: queue, Do: do,
				Says: fmt.Sprintf("run %d of job %s is queued, and SQS has no message in queue %s: it was purged, deleted or has expired", j.Run, j.JobID, queue),
			}
			all = append(all, s)
		}
		return all[:min(len(all), contract.MaxFindings)]
	}
	ids := make([]string, len(waiting))
	for i := range waiting {
		ids[i] = waiting[i].JobID
	}
	s.finding = someMissing(queue, ids, lost, do)
	return []suspicion{s}
}

// someMissing names the first of those among which the lost ones are.
func someMissing(queue string, waiting []string, lost int, do string) contract.Finding {
	return contract.Finding{
		Kind: contract.MessageMissing, Queue: queue, Count: lost, Jobs: waiting[:min(len(waiting), contract.MaxAuditJobs)], Do: do,
		Says: fmt.Sprintf("%d runs are queued in queue %s, and SQS has messages for %d of them; which are lost, SQS does not tell", len(waiting), queue, len(waiting)-lost),
	}
}
