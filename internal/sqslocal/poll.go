package sqslocal

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// poll is a ReceiveMessage that waits. It is served by the store's goroutine,
// in the order of arrival, within the transaction that made a message visible.
type poll struct {
	ctx   context.Context
	queue string
	want  receiveWish
	got   []*delivery
	err   error
	done  chan struct{}
}

// line is the polls that wait at one queue.
type line struct {
	waiting []*poll
	changed bool  // something may have become visible since it was last served
	due     int64 // when the next hidden message becomes visible, 0 for none
}

// join puts a poll at the end of its queue's line, where the end of this very
// transaction looks at it again: whatever the rest of the group sends is not missed.
func (t *tx) join(ctx context.Context, q *queue, want receiveWish) (*poll, error) {
	if t.countPolls() >= maxPolls {
		return nil, overLimit.errorf("More than %d long polls are waiting at this local server.", maxPolls)
	}
	p := &poll{ctx: ctx, queue: q.name, want: want, done: make(chan struct{})}
	l := t.lines[q.name]
	if l == nil {
		l = &line{}
		t.lines[q.name] = l
	}
	l.waiting = append(l.waiting, p)
	l.changed = true
	t.joined = append(t.joined, p)
	return p, nil
}

func (s *store) countPolls() (n int) {
	for _, l := range s.lines {
		n += len(l.waiting)
	}
	return n
}

// leave takes a poll out of its line; one that was served is not there any more.
func (t *tx) leave(p *poll) {
	if t.unlist(p) {
		t.served = append(t.served, p)
	}
}

func (s *store) unlist(p *poll) bool {
	l := s.lines[p.queue]
	if l == nil {
		return false
	}
	i := slices.Index(l.waiting, p)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// changed notes that a message of the queue has become visible or will.
func (t *tx) changed(q *queue) {
	if l := t.lines[q.name]; l != nil {
		l.changed = true
	}
}

// servePolls gives the polls what has become visible. Serving one line can move
// a dead letter to another, so it goes round again; never more often than there
// are lines, because policies can form a ring.
func (t *tx) servePolls() error {
	for range len(t.lines) {
		served := false
		for name, l := range t.lines {
			if !l.ripe(t.now) {
				continue
			}
			served = true
			if err := t.serveLine(t.queues[name], l); err != nil {
				return err
			}
		}
		if !served {
			break
		}
	}
	return nil
}

// ripe tells whether the line may find something now.
func (l *line) ripe(now int64) bool {
	return len(l.waiting) > 0 && (l.changed || l.due != 0 && l.due <= now)
}

func (t *tx) serveLine(q *queue, l *line) error {
	if err := t.expire(q); err != nil {
		return err
	}
	for len(l.waiting) > 0 {
		p := l.waiting[0]
		if p.ctx.Err() == nil {
			got, err := t.receive(q, p.want)
			if err != nil {
				return err
			}
			if len(got) == 0 {
				break
			}
			p.got = got
		}
		l.waiting = l.waiting[1:]
		t.served = append(t.served, p)
	}
	l.changed = false
	due, err := t.nextVisible(q)
	l.due = due
	return err
}

// dismiss ends every poll at a queue with an error.
func (t *tx) dismiss(q *queue, err error) {
	l := t.lines[q.name]
	if l == nil {
		return
	}
	for _, p := range l.waiting {
		p.err = err
		t.served = append(t.served, p)
	}
	l.waiting = nil
}

// endServed lets those go whose wait is over, once that is committed.
func (t *tx) endServed() {
	for _, p := range t.served {
		close(p.done)
	}
	for name, l := range t.lines {
		if len(l.waiting) == 0 {
			delete(t.lines, name)
		}
	}
}

// abandonPolls, after a rollback, ends those that the transaction had taken
// out of their lines, with its error, and forgets those it had put in.
func (t *tx) abandonPolls(err error) {
	for _, p := range t.joined {
		t.unlist(p)
	}
	for _, p := range t.served {
		p.got, p.err = nil, err
	}
	t.endServed()
	for _, l := range t.lines {
		l.changed = false // the next request of the queue looks again
	}
}

// endAllPolls lets every poll go with nothing, when the store ends.
func (s *store) endAllPolls() {
	for _, l := range s.lines {
		for _, p := range l.waiting {
			close(p.done)
		}
	}
	s.lines = nil
}

// setAlarm arranges to be woken when the next hidden message that a poll waits
// for becomes visible.
func (s *store) setAlarm() {
	s.alarm.Stop()
	var next int64
	for _, l := range s.lines {
		if l.due != 0 && (next == 0 || l.due < next) {
			next = l.due
		}
	}
	if next != 0 {
		s.alarm.Reset(max(0, time.UnixMilli(next).Sub(s.clock.Now())))
	}
}

// nextVisible is when the first of the queue's hidden messages becomes visible, 0 for never.
func (t *tx) nextVisible(q *queue) (due int64, err error) {
	const query = `SELECT visible FROM messages WHERE queue = ? AND visible > ? ORDER BY visible LIMIT 1`
	err = t.each(query, []any{q.id, t.now}, func(rows *sql.Rows) error { return rows.Scan(&due) })
	return due, err
}

// await waits until the poll is served, its time is over, its client is gone
// or the server drains. The poll has left its line when it returns.
func (s *store) await(ctx context.Context, p *poll, wait time.Duration) ([]*delivery, error) {
	timer := s.clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.got, p.err
	case <-timer.Chan():
	case <-ctx.Done():
	case <-s.draining:
	}
	// An error here means that a rollback or the end of the store ended the
	// poll, and either closes done and says so there.
	_ = s.do(context.WithoutCancel(ctx), func(t *tx) error {
		t.leave(p)
		return nil
	})
	<-p.done
	return p.got, p.err
}
