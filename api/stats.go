package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

// jobStats sends bytes that were rendered when the books last changed, or answers for a part of them.
func (s *Server) jobStats(c *fiber.Ctx) error {
	if err := s.ledger.ready(s.base); err != nil {
		return err
	}
	if len(c.Request().URI().QueryString()) == 0 && !wantsStream(c) {
		sayAge(c, s.age())
		return answerTagged(c, s.ledger.answer.Load())
	}
	q, err := s.readStatsQuery(c)
	if err != nil {
		return err
	}
	if wantsStream(c) {
		return s.followStats(c, q)
	}
	books := s.ledger.books
	if q.at != "" {
		if books, err = s.past.books(s.leaving, q.at, q.atSeq, q.atTime); err != nil {
			return err
		}
	}
	a, _, err := s.statsOf(books, q)
	if err != nil {
		return err
	}
	age := time.Duration(0)
	if q.at == "" { // the past does not age
		age = s.age()
	}
	sayAge(c, age)
	return answerTagged(c, a)
}

// answerTagged answers with a body, or without one where the client has it.
func answerTagged(c *fiber.Ctx, a *tagged) error {
	h := &c.Response().Header
	h.SetCanonical([]byte("Etag"), a.etag) // as fasthttp spells it: any other way would be spelt anew each time
	if match := c.Request().Header.PeekBytes([]byte(fiber.HeaderIfNoneMatch)); len(match) > 0 && hasTag(string(match), string(a.etag)) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	h.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(a.body)
	return nil
}

// hasTag looks for a tag in the list of an If-None-Match.
func hasTag(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

// statsEvery is the shortest time between two answers of a stream: under load the books change more often
// than anybody can look.
const statsEvery = 250 * time.Millisecond

// statsQuery is what a client wants to know. A moment that is so long ago is another one at each answer.
type statsQuery struct {
	queue, jobType string
	since, until   moment
	step           contract.Span
	at             string // canonical; "": now
	atSeq          uint64
	atTime         time.Time
}

// moment is a time, or how long ago; the zero moment is open.
type moment struct {
	at  time.Time
	ago time.Duration
}

func (m moment) milli(now time.Time) int64 {
	switch {
	case m.ago > 0:
		return max(1, now.Add(-m.ago).UnixMilli())
	case m.at.IsZero():
		return 0
	}
	return max(1, m.at.UnixMilli())
}

// parseMoment reads a time of RFC 3339, or a duration like 90m or 7d for that long ago.
func parseMoment(v string) (m moment, ok bool) {
	if at, err := time.Parse(time.RFC3339, v); err == nil {
		return moment{at: at}, true
	}
	if days, found := strings.CutSuffix(v, "d"); found {
		n, err := strconv.Atoi(days)
		return moment{ago: time.Duration(n) * 24 * time.Hour}, err == nil && n > 0 && n < 10_000
	}
	ago, err := time.ParseDuration(v)
	return moment{ago: ago}, err == nil && ago > 0
}

func (s *Server) readStatsQuery(c *fiber.Ctx) (q statsQuery, err error) {
	p := readParams(c, "queue", "type", "since", "until", "step", "at")
	q.queue, q.jobType = p.token("queue"), p.token("type")
	read := func(name string, into *moment) {
		p.word(name, "a time like 2026-11-21T16:00:00Z, or how long ago, like 90m or 7d", func(v string) (ok bool) {
			*into, ok = parseMoment(v)
			return ok
		})
	}
	read("since", &q.since)
	read("until", &q.until)
	q.step = contract.Span(p.word("step", "minute, hour or day", func(v string) bool { return contract.Span(v).Known() }))
	p.word("at", "the sequence of an event, or a time like 2026-11-21T16:00:00Z that has passed", func(v string) (ok bool) {
		q.at, q.atSeq, q.atTime, ok = parseAt(v, s.now())
		return ok
	})
	return q, p.done()
}

// parseAt reads a sequence or a time, and gives one spelling of it.
func parseAt(v string, now time.Time) (at string, seq uint64, moment time.Time, ok bool) {
	if seq, err := strconv.ParseUint(v, 10, 63); err == nil {
		return strconv.FormatUint(seq, 10), seq, time.Time{}, seq > 0
	}
	m, ok := parseMoment(v)
	moment = m.at.UTC()
	if m.ago > 0 {
		moment = now.UTC().Add(-m.ago).Truncate(time.Second)
	}
	return moment.Format(time.RFC3339Nano), 0, moment, ok && !moment.After(now)
}

func (q *statsQuery) slice(now time.Time) slice {
	return slice{queue: q.queue, jobType: q.jobType, since: q.since.milli(now), until: q.until.milli(now), step: q.step}
}

// statsOf answers a query from memory, and gives the sequence that the answer is of.
func (s *Server) statsOf(b *books, q statsQuery) (*tagged, uint64, error) {
	now := s.now()
	if q.at != "" {
		now = b.shown.AsOf.Time.Time // so much before that moment
	}
	part := q.slice(now)
	if part.until != 0 && part.until <= part.since {
		return nil, 0, paramFault("until", "must be later than since")
	}
	st, err := b.answer(part)
	var old *tooOld
	if errors.As(err, &old) {
		return nil, 0, paramFault("since", "is too long ago: "+old.Error())
	}
	if err != nil {
		return nil, 0, err
	}
	body, err := json.Marshal(&st)
	if err != nil {
		return nil, 0, err
	}
	return newTagged(body), st.AsOf.Seq, nil
}

// followStats sends the answer again whenever it has changed: with other books, and where it counts back from now
// also with the minutes. Each is whole, so a client that comes back has missed nothing once it has the next; it gets
// one at once, for its id tells of which event it was, and not of which audit or which minutes.
func (s *Server) followStats(c *fiber.Ctx, q statsQuery) error {
	if q.at != "" {
		return paramFault("at", "has no stream: the past does not change")
	}
	if _, _, err := s.statsOf(s.ledger.books, q); err != nil {
		return err
	}
	return s.stream(c, func(e *eventWriter) error {
		var last []byte
		for {
			if goOn, err := e.wait(s.ledger.loaded(), nil); !goOn { // books that are read anew are not shown half read
				return err
			}
			next := s.ledger.books.next()
			turned, stop := q.turns(s.now())
			a, seq, err := s.rendered.get(next, q.slice(s.now()), func() (*tagged, uint64, error) { return s.statsOf(s.ledger.books, q) })
			if err != nil {
				return err
			}
			if !bytes.Equal(last, a.etag) {
				e.event(seq, "stats", a.body)
				if err := e.flush(); err != nil {
					return err
				}
			}
			last = a.etag
			goOn, err := e.wait(after(statsEvery), nil)
			if goOn {
				goOn, err = e.wait(next, turned)
			}
			if stop(); !goOn {
				return err
			}
		}
	})
}

// turns gives what is closed when a moment that counts back from now comes into its next minute, the shortest of the
// windows; nil where there is none. stop lets go of it.
func (q *statsQuery) turns(now time.Time) (turned <-chan struct{}, stop func()) {
	if q.since.ago == 0 && q.until.ago == 0 {
		return nil, func() {}
	}
	left := time.Minute
	for _, m := range []moment{q.since, q.until} {
		if m.ago > 0 {
			into := time.Duration(m.milli(now)%time.Minute.Milliseconds()) * time.Millisecond
			left = min(left, time.Minute-into+time.Millisecond) // behind it, for until is not of its own window
		}
	}
	done := make(chan struct{})
	timer := time.AfterFunc(left, func() { close(done) })
	return done, func() { timer.Stop() }
}
