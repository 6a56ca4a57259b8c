package sqslocal

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// counts are the queue's messages by what a receiver can do with them.
type counts struct {
	visible, inFlight, delayed int64
}

// delivery is one message in the hands of one receiver.
type delivery struct {
	message
	receipt       receipt
	sent          int64
	receives      int64
	firstReceived int64
	source        string // the dead letter's queue of origin
	wasFirst      int64  // firstReceived before this receive
	wasVisible    int64
}

// receiveWish is what a receiver asked for.
type receiveWish struct {
	most       int
	visibility *int // seconds; nil takes the queue's
}

// insert stores a message that becomes visible after delay.
func (t *tx) insert(q *queue, m message, delay time.Duration) error {
	rides, err := m.extra.encode()
	if err != nil {
		return err
	}
	const insertMessage = `INSERT INTO messages
		(queue, message, sent, visible, in_flight, receives, receipt, first_received, received, source)
		VALUES (?, ?, ?, ?, 0, 0, 0, 0, 0, '')`
	row, err := t.execID(insertMessage, q.id, m.id[:], t.now, t.now+delay.Milliseconds())
	if err != nil {
		return err
	}
	if err := t.exec(`INSERT INTO bodies (id, body, extra) VALUES (?, ?, ?)`, row, m.body, rides); err != nil {
		return err
	}
	q.added(t.now)
	t.changed(q)
	return nil
}

// added counts a message in, sent at the given time.
func (q *queue) added(sent int64) {
	if q.stored == 0 || sent < q.oldest {
		q.oldest = sent
	}
	q.stored++
}

// receive hands out visible messages, the longest visible first, and hides
// them. A message that was received too often goes to the dead-letter queue in
// its place.
func (t *tx) receive(q *queue, want receiveWish) ([]*delivery, error) {
	room, err := t.room(q, want.most)
	if err != nil {
		return nil, err
	}
	taken, err := t.take(q, room)
	if err != nil {
		return nil, err
	}
	hidden := q.milliseconds("VisibilityTimeout")
	if want.visibility != nil {
		hidden = (time.Duration(*want.visibility) * time.Second).Milliseconds()
	}
	for _, d := range taken {
		if err := t.hide(d, t.now+hidden); err != nil {
			return nil, err
		}
	}
	q.flightBound += int64(len(taken))
	if len(taken) > 0 {
		t.changed(q)
	}
	return taken, nil
}

// take chooses up to limit messages and moves dead letters out of their way.
func (t *tx) take(q *queue, limit int) (taken []*delivery, err error) {
	after := &delivery{wasVisible: -1}
	for len(taken) < limit {
		asked := limit - len(taken)
		found, err := t.visible(q, after, asked)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			after = d
			if target := t.deadLetterQueue(q, d); target == nil {
				taken = append(taken, d)
			} else if err := t.move(d, q, target); err != nil {
				return nil, err
			}
		}
		if len(found) < asked {
			break
		}
	}
	return taken, nil
}

// visible reads up to limit visible messages that come after the given one.
func (t *tx) visible(q *queue, after *delivery, limit int) (found []*delivery, err error) {
	const query = `SELECT m.id, m.message, m.sent, m.visible, m.receives, m.receipt, m.first_received, m.source, b.body, b.extra
		FROM messages m JOIN bodies b ON b.id = m.id
		WHERE m.queue = ? AND m.visible <= ? AND (m.visible, m.id) > (?, ?)
		ORDER BY m.visible, m.id LIMIT ?`
	values := []any{q.id, t.now, after.wasVisible, after.receipt.row, limit}
	err = t.each(query, values, func(rows *sql.Rows) error {
		d := &delivery{receipt: receipt{queue: q.id}}
		var id, rides sql.RawBytes
		err := rows.Scan(&d.receipt.row, &id, &d.sent, &d.wasVisible, &d.receives, &d.receipt.receive, &d.wasFirst, &d.source, &d.body, &rides)
		if err != nil {
			return err
		}
		if d.id, err = uuid.FromBytes(id); err != nil {
			return fmt.Errorf("message %d: %w", d.receipt.row, err)
		}
		d.receipt.message = d.id
		d.extra, err = decodeExtra(rides)
		found = append(found, d)
		return err
	})
	return found, err
}

// hide takes a message out of sight for its receiver.
func (t *tx) hide(d *delivery, until int64) error {
	d.receives++
	d.receipt.receive++
	d.firstReceived = d.wasFirst
	if d.firstReceived == 0 {
		d.firstReceived = t.now
	}
	if t.faults.duplicates("ReceiveMessage", t.clock.Now()) {
		until = t.now
	}
	const update = `UPDATE messages SET visible = ?, in_flight = 1, receives = ?, receipt = ?, first_received = ?, received = ? WHERE id = ?`
	return t.exec(update, until, d.receives, d.receipt.receive, d.firstReceived, t.now, d.receipt.row)
}

// deadLetterQueue is where the message has to go by the queue's policy. A
// target that was deleted since keeps nobody from the message.
func (t *tx) deadLetterQueue(q *queue, d *delivery) *queue {
	if q.redrive == nil || d.receives < int64(q.redrive.maxReceives) {
		return nil
	}
	return t.queues[q.redrive.target]
}

// move makes a message a dead letter. It keeps its age and its count of receives.
func (t *tx) move(d *delivery, from, to *queue) error {
	const update = `UPDATE messages SET queue = ?, visible = ?, in_flight = 0, source = ? WHERE id = ?`
	if err := t.exec(update, to.id, t.now, t.address.arn(from.name), d.receipt.row); err != nil {
		return err
	}
	from.stored--
	to.added(d.sent)
	t.changed(to)
	return nil
}

// putBack returns messages whose receiver went away before it was told of
// them, as if it had never asked. One that somebody else has by now stays there.
func (t *tx) putBack(deliveries []*delivery) error {
	const update = `UPDATE messages SET visible = ?, in_flight = 0, receives = receives - 1, first_received = ?
		WHERE id = ? AND message = ? AND queue = ? AND receipt = ?`
	for _, d := range deliveries {
		r := d.receipt
		if err := t.exec(update, d.wasVisible, d.wasFirst, r.row, r.message[:], r.queue, r.receive); err != nil {
			return err
		}
	}
	for _, l := range t.lines {
		l.changed = true // a receipt does not know its queue's name, and this is rare
	}
	return nil
}

// remove deletes the message if the receipt is its newest. An older receipt,
// or one of a message that is gone, has no effect and is no error.
func (t *tx) remove(q *queue, r receipt) error {
	if t.faults.duplicates("DeleteMessage", t.clock.Now()) {
		return t.revive(q, r)
	}
	const remove = `DELETE FROM messages WHERE id = ? AND message = ? AND queue = ? AND receipt = ?`
	gone, err := t.execCount(remove, r.row, r.message[:], q.id, r.receive)
	if err != nil || gone == 0 {
		return err
	}
	q.stored--
	return t.exec(`DELETE FROM bodies WHERE id = ?`, r.row)
}

// revive is the fault of a delete that SQS forgot: the message is seen once more.
func (t *tx) revive(q *queue, r receipt) error {
	t.changed(q)
	const update = `UPDATE messages SET visible = ?, in_flight = 0 WHERE id = ? AND message = ? AND queue = ? AND receipt = ?`
	return t.exec(update, t.now, r.row, r.message[:], q.id, r.receive)
}

// setVisibility hides a message for another while, or releases it. AWS takes
// an older receipt here too, and one whose time has run out.
func (t *tx) setVisibility(q *queue, handle string, r receipt, seconds int) error {
	const query = `SELECT in_flight, received FROM messages WHERE id = ? AND message = ? AND queue = ?`
	found, inFlight, received := false, false, int64(0)
	err := t.each(query, []any{r.row, r.message[:], q.id}, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(&inFlight, &received)
	})
	until := t.now + (time.Duration(seconds) * time.Second).Milliseconds()
	switch {
	case err != nil:
		return err
	case !found:
		return invalidValue(clip(handle), "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
	case !inFlight:
		return messageNotInflight.errorf("The message referred to is not in flight.")
	case until-received > maxVisibility*1000:
		return invalidValue(seconds, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	t.changed(q)
	return t.exec(`UPDATE messages SET visible = ?, in_flight = ? WHERE id = ?`, until, seconds > 0, r.row)
}

// removeAll deletes every message of the queue.
func (t *tx) removeAll(q *queue) error {
	if err := t.exec(`DELETE FROM bodies WHERE id IN (SELECT id FROM messages WHERE queue = ?)`, q.id); err != nil {
		return err
	}
	q.stored = 0
	return t.exec(`DELETE FROM messages WHERE queue = ?`, q.id)
}

// expire deletes what is older than the queue keeps messages. The bound on the
// oldest makes this free until there is something to delete.
func (t *tx) expire(q *queue) error {
	limit := t.now - q.milliseconds("MessageRetentionPeriod")
	if q.stored == 0 || q.oldest > limit {
		return nil
	}
	const bodies = `DELETE FROM bodies WHERE id IN (SELECT id FROM messages WHERE queue = ? AND sent <= ?)`
	if err := t.exec(bodies, q.id, limit); err != nil {
		return err
	}
	gone, err := t.execCount(`DELETE FROM messages WHERE queue = ? AND sent <= ?`, q.id, limit)
	if err != nil {
		return err
	}
	q.stored -= gone
	return t.each(`SELECT coalesce(min(sent), 0) FROM messages WHERE queue = ?`, []any{q.id},
		func(rows *sql.Rows) error { return rows.Scan(&q.oldest) })
}

// count is exact. Hidden messages are few, so they are counted and the visible
// ones are the rest.
func (t *tx) count(q *queue) (n counts, err error) {
	const query = `SELECT coalesce(sum(in_flight), 0), count(*) FROM messages WHERE queue = ? AND visible > ?`
	err = t.each(query, []any{q.id, t.now}, func(rows *sql.Rows) error { return rows.Scan(&n.inFlight, &n.delayed) })
	n.visible = q.stored - n.delayed
	n.delayed -= n.inFlight
	return n, err
}

// room is how many of the wanted messages may be taken before as many are in
// flight as SQS allows. The bound only grows, so that messages in flight are
// counted only when it is reached.
func (t *tx) room(q *queue, wanted int) (int, error) {
	if q.flightBound+int64(wanted) > t.limit {
		n, err := t.count(q)
		if err != nil {
			return 0, err
		}
		q.flightBound = n.inFlight
	}
	return max(0, min(wanted, int(t.limit-q.flightBound))), nil
}

// full tells whether receive found nothing because too much is in flight.
func (t *tx) full(q *queue) bool { return q.flightBound >= t.limit }
