package api

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/feed"
	"tallyman/internal/stream"
)

const (
	headerLastEventID = "Last-Event-ID"
	maxFiltered       = 32 // words of one filter
	maxSince          = 366 * 24 * time.Hour
)

// lastEventID gives the sequence behind which a client wants to go on.
func lastEventID(c *fiber.Ctx) (seq uint64, given bool, err error) {
	v := c.Get(headerLastEventID)
	if v == "" {
		return 0, false, nil
	}
	seq, err = strconv.ParseUint(v, 10, 63)
	if err != nil {
		return 0, false, paramFault(headerLastEventID, "must be the id of an event, a number")
	}
	return seq, true, nil
}

// place is where a client begins: behind a sequence, or at a moment, or, where neither is given, now.
type place struct {
	after uint64
	given bool
	since time.Time
}

// readPlace reads Last-Event-ID, which a client that comes back sends beside what it began with, and so wins.
func (s *Server) readPlace(c *fiber.Ctx, p *params) (at place, err error) {
	p.word("after", "a sequence of the stream, a number", func(v string) bool {
		at.after, err = strconv.ParseUint(v, 10, 63)
		at.given = true
		return err == nil
	})
	p.word("since", "a moment like 2026-11-21T16:00:00Z, or an age like 10m", func(v string) bool {
		at.since, err = parseSince(v, s.now())
		return err == nil
	})
	if at.given && !at.since.IsZero() {
		p.fail("since", "cannot stand beside after")
	}
	last, again, err := lastEventID(c)
	if again {
		at = place{after: last, given: true}
	}
	return at, err
}

// parseSince reads a moment or an age.
func parseSince(v string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, v); err == nil {
		return at, nil
	}
	age, err := time.ParseDuration(v)
	if err != nil || age < 0 || age > maxSince {
		return time.Time{}, errors.New("neither a moment nor an age")
	}
	return now.Add(-age), nil
}

// readFilter reads words separated by commas.
func readFilter(p *params) (f feed.Filter) {
	const tokens = "up to 32 names of 1 to 64 of A-Z a-z 0-9 _ -, separated by commas"
	f.Queues = p.list("queue", tokens, contract.ValidToken)
	f.Types = p.list("type", tokens, contract.ValidToken)
	f.Kinds = p.kinds()
	return f
}

func (p *params) kinds() (kinds []contract.Kind) {
	known := func(s string) bool { return contract.Kind(s).Known() }
	for _, k := range p.list("event", "kinds of event like succeeded, separated by commas", known) {
		kinds = append(kinds, contract.Kind(k))
	}
	return kinds
}

// list gives the words of a parameter; nil where it is not there.
func (p *params) list(name, shape string, check func(string) bool) []string {
	v, ok := p.values[name]
	if !ok {
		return nil
	}
	words := strings.Split(v, ",")
	for _, w := range words {
		if !check(w) || len(words) > maxFiltered {
			p.fail(name, "must be "+shape)
			return nil
		}
	}
	return words
}

// followEvents streams the events of all jobs.
func (s *Server) followEvents(c *fiber.Ctx) error {
	p := readParams(c, "queue", "type", "event", "after", "since")
	f := readFilter(p)
	at, err := s.readPlace(c, p)
	if err := p.done(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	ctx, cancel := s.work()
	defer cancel()
	r, known, err := s.reader(ctx, at)
	if err != nil {
		return err
	}
	return s.stream(c, func(e *eventWriter) error {
		defer r.Close()
		if !known {
			if err := e.gap(gap{Detail: "this stream has no event " + strconv.FormatUint(at.after, 10) + "; what follows is what happens from now on"}); err != nil {
				return err
			}
		}
		return s.follow(e, &f, r)
	})
}

// reader gives a place in the log; known is false where the client asked for one that is not there.
func (s *Server) reader(ctx context.Context, at place) (r *feed.Reader, known bool, err error) {
	soon, cancel := context.WithTimeout(ctx, waitForLedger)
	defer cancel()
	if !s.feed.Reached(soon) {
		return nil, false, contract.Errorf(contract.CodeUnavailable, "", "the stream of events cannot be reached yet; try again")
	}
	after, _ := s.feed.Now()
	if at.given {
		after = at.after
	}
	if !at.since.IsZero() {
		first, err := s.events.Since(ctx, at.since)
		if err != nil && !isNotFound(err) {
			return nil, false, err
		}
		if err == nil {
			after = first - 1
		}
	}
	return s.feed.Reader(ctx, after)
}

// tooSlow is why a client is let go.
const tooSlow = "you read more slowly than events come, or than others who wait can bear; come back with this id as Last-Event-ID"

// follow sends what the log has and then what comes, until the client or the server ends. A client that was up
// to date and falls behind what memory holds is let go: for it, the log would be read without an end. So is one that
// keeps for long what it was to be sent of the past, where others wait until there is room for theirs.
func (s *Server) follow(e *eventWriter, f *feed.Filter, r *feed.Reader) error {
	for live := false; ; {
		now := r.Live()
		if live && !now {
			return e.drop(r.At(), tooSlow)
		}
		live = now
		batch, err := r.Next(s.leaving)
		wait := batch.More
		switch {
		case errors.Is(err, feed.ErrAnew):
			last, _ := s.feed.Now()
			return e.drop(last, "the stream of events has been made anew; this id is its newest")
		case err != nil: // the log cannot be read, and what is in memory is not next
			wait = after(time.Second)
		}
		if goOn, err := e.batch(f, &batch, r); !goOn {
			return err
		}
		if wait == nil {
			continue
		}
		if goOn, err := e.wait(wait, nil); !goOn {
			return err
		}
	}
}

// batch sends what a client wants of a batch that its reader was handed last; false where that is the end.
func (e *eventWriter) batch(f *feed.Filter, b *feed.Batch, r *feed.Reader) (goOn bool, err error) {
	if len(b.Events) == 0 && b.Missing == 0 {
		return true, nil
	}
	if b.Missing > 0 {
		first := r.At() + 1
		if len(b.Events) > 0 {
			first = b.Events[0].Seq
		}
		if err := e.gap(gap{Detail: "these events are no longer kept", From: first - b.Missing, To: first - 1}); err != nil {
			return false, err
		}
	}
	sent := 0 // bytes, since it was last asked whether the client is too slow
	for i, st := range b.Events {
		if !f.Wants(st) {
			e.pass(st.Seq)
			continue
		}
		e.event(st.Seq, string(st.Event.Kind), st.Raw)
		if sent += len(st.Raw); sent <= flushAt || i == len(b.Events)-1 {
			continue
		}
		if sent = 0; r.Late(st.Seq) {
			return false, e.drop(st.Seq, tooSlow)
		}
	}
	err = e.flush()
	return err == nil, err
}

// gap tells a client what it will not see.
type gap struct {
	Detail string `json:"detail"`
	From   uint64 `json:"from,omitempty"`
	To     uint64 `json:"to,omitempty"`
}

func (e *eventWriter) gap(g gap) error {
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	e.event(g.To, "gap", b)
	return e.flush()
}

// after closes a channel once, later.
func after(d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(d, func() { close(done) })
	return done
}

// eventAt gives one event, from memory where that has it.
func (s *Server) eventAt(ctx context.Context, seq uint64) (stream.Stored, error) {
	if st := s.feed.Event(seq); st != nil {
		return *st, nil
	}
	return s.events.Event(ctx, seq)
}
