package api

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

// lookBack is what the stream has to tell of one event that is no longer in memory.
const lookBack = time.Second

// waiting is the first event that the books have not counted, as long as they stay where they are: an aggregator
// that is down is asked about again and again.
type waiting struct {
	mu     sync.Mutex
	behind contract.AsOf
	since  time.Time // when the stream took it; zero: not asked for
}

// sayAge puts an age beside an answer, in whole seconds.
func sayAge(c *fiber.Ctx, age time.Duration) {
	c.Response().Header.SetCanonical([]byte(fiber.HeaderAge), strconv.AppendInt(nil, int64(age/time.Second), 10))
}

// age is since when the stream has had an event that the books have not counted: 0 where they have counted all. A
// stream that does not answer may have more than is known, so its silence counts too.
func (s *Server) age() time.Duration {
	last, _ := s.feed.Now()
	age := s.feed.Silent()
	if asOf := s.ledger.books.asOf(); asOf.Seq < last {
		age = max(age, s.now().Sub(s.waitingSince(asOf)))
	}
	return age
}

// waitingSince is when the stream took the event that the books would count next. It is in memory, unless there
// are very many behind it or it is older than this process: then it is read, once. One that cannot be read is not
// older than what the books have come to.
func (s *Server) waitingSince(asOf contract.AsOf) time.Time {
	w := &s.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind == asOf && !w.since.IsZero() {
		return w.since
	}
	ctx, cancel := context.WithTimeout(s.base, lookBack)
	defer cancel()
	w.behind, w.since = asOf, asOf.Time.Time
	if st, err := s.eventAt(ctx, asOf.Seq+1); err == nil {
		w.since = st.At
	} else if asOf.Seq == 0 {
		w.since = s.now()
	}
	return w.since
}
