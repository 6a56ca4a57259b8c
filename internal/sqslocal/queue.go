package sqslocal

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// queue is one queue as the store's goroutine holds it in memory. Only that
// goroutine touches it.
type queue struct {
	id         int64
	name       string
	attributes map[string]string // those that were set
	tags       map[string]string
	created    int64
	modified   int64
	purged     int64

	redrive     *redrive
	stored      int64 // messages, of whatever state
	oldest      int64 // no message was sent before
	flightBound int64 // no more messages are in flight
}

// loadQueues reads the queues back, at the start and after a rollback.
func (s *store) loadQueues() error {
	s.queues = map[string]*queue{}
	const query = `SELECT id, name, attributes, tags, created, modified, purged,
		(SELECT count(*) FROM messages WHERE queue = q.id),
		(SELECT coalesce(min(sent), 0) FROM messages WHERE queue = q.id) FROM queues q`
	return s.each(query, nil, func(rows *sql.Rows) error {
		q := &queue{flightBound: s.limit}
		var attributes, tags string
		err := rows.Scan(&q.id, &q.name, &attributes, &tags, &q.created, &q.modified, &q.purged, &q.stored, &q.oldest)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(attributes), &q.attributes); err != nil {
			return fmt.Errorf("attributes of queue %s: %w", q.name, err)
		}
		if err := json.Unmarshal([]byte(tags), &q.tags); err != nil {
			return fmt.Errorf("tags of queue %s: %w", q.name, err)
		}
		s.queues[q.name] = q
		return s.derive(q)
	})
}

// derive reads out of the attributes what every receive needs.
func (s *store) derive(q *queue) error {
	q.redrive = nil
	policy := q.attributes["RedrivePolicy"]
	if policy == "" {
		return nil
	}
	r, err := decodeRedrive(s.address, policy)
	if err != nil {
		return fmt.Errorf("queue %s: %w", q.name, err)
	}
	q.redrive = &r
	return nil
}

// open finds the queue that a QueueUrl names and drops what has outlived its retention.
func (t *tx) open(queueURL string) (*queue, error) {
	name, err := t.address.nameOfURL(queueURL)
	if err != nil {
		return nil, err
	}
	q := t.queues[name]
	if q == nil {
		return nil, noSuchQueue()
	}
	return q, t.expire(q)
}

// createQueue makes a queue, or finds the one that is just like it.
func (t *tx) createQueue(name string, given, tags map[string]string) error {
	if err := checkQueueName(name); err != nil {
		return err
	}
	checked, err := t.checkAttributes(name, given)
	if err != nil {
		return err
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	if q := t.queues[name]; q != nil {
		return q.sameAs(checked)
	}
	if len(t.queues) >= maxQueues {
		return overLimit.errorf("This local server holds at most %d queues.", maxQueues)
	}
	maps.DeleteFunc(checked, func(_, value string) bool { return value == "" })
	q := &queue{name: name, attributes: orEmpty(checked), tags: orEmpty(tags), created: t.now, modified: t.now}
	return t.insertQueue(q)
}

func (t *tx) insertQueue(q *queue) error {
	attributes, tags, err := q.encode()
	if err != nil {
		return err
	}
	const insert = `INSERT INTO queues (name, attributes, tags, created, modified, purged)
		VALUES (?, ?, ?, ?, ?, 0) RETURNING id`
	err = t.each(insert, []any{q.name, attributes, tags, q.created, q.modified},
		func(rows *sql.Rows) error { return rows.Scan(&q.id) })
	if err != nil {
		return err
	}
	t.queues[q.name] = q
	return t.derive(q)
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (q *queue) encode() (attributes, tags string, err error) {
	a, err := json.Marshal(q.attributes)
	if err != nil {
		return "", "", fmt.Errorf("attributes of queue %s: %w", q.name, err)
	}
	b, err := json.Marshal(q.tags)
	return string(a), string(b), err
}

// sameAs tells whether a CreateQueue with these attributes means this queue.
func (q *queue) sameAs(attributes map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if q.setting(name) != attributes[name] {
			return queueNameExists.errorf("A queue already exists with the same name and a different value for attribute %s", name)
		}
	}
	return nil
}

// setAttributes changes the given attributes and leaves the others alone.
func (t *tx) setAttributes(q *queue, given map[string]string) error {
	checked, err := t.checkAttributes(q.name, given)
	if err != nil {
		return err
	}
	for name, value := range checked {
		if value == "" {
			delete(q.attributes, name)
		} else {
			q.attributes[name] = value
		}
	}
	q.modified = t.now
	return t.saveQueue(q)
}

// saveQueue writes a changed queue. Memory was changed first; should the write
// fail, the rollback reads everything back.
func (t *tx) saveQueue(q *queue) error {
	attributes, tags, err := q.encode()
	if err != nil {
		return err
	}
	const update = `UPDATE queues SET attributes = ?, tags = ?, modified = ?, purged = ? WHERE id = ?`
	if err := t.exec(update, attributes, tags, q.modified, q.purged, q.id); err != nil {
		return err
	}
	return t.derive(q)
}

// deleteQueue removes the queue and its messages; who waits at it is told.
func (t *tx) deleteQueue(q *queue) error {
	if err := t.removeAll(q); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM queues WHERE id = ?`, q.id); err != nil {
		return err
	}
	delete(t.queues, q.name)
	t.dismiss(q, noSuchQueue())
	return nil
}

// purge removes the queue's messages, at most once a minute.
func (t *tx) purge(q *queue) error {
	if q.purged != 0 && t.now-q.purged < purgeInterval.Milliseconds() {
		return purgeQueueInProgress.errorf("Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	if err := t.removeAll(q); err != nil {
		return err
	}
	q.purged = t.now
	return t.saveQueue(q)
}

// page returns the names of the queues that keep accepts, in order and after
// the token, at most limit of them, and the token of the next page.
func (t *tx) page(keep func(*queue) bool, after string, limit int) (names []string, next string) {
	for name, q := range t.queues {
		if name > after && keep(q) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, strings.Compare)
	if len(names) > limit {
		names = names[:limit]
		next = names[limit-1]
	}
	return names, next
}
