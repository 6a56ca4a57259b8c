package api

import (
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// maxReplays bounds how many clients read the past from the stream at a time, each by a consumer that ends
// when it has caught up with the feed.
const maxReplays = 4

const headerLastEventID = "Last-Event-ID"

// filter is what a client wants to see.
type filter struct {
	queue, jobType string
	kind           contract.Kind
}

func (f *filter) wants(st *stream.Stored) bool {
	e := &st.Event
	return st.Fault == nil && (f.queue == "" || f.queue == e.Queue) && (f.jobType == "" || f.jobType == e.Type) &&
		(f.kind == "" || f.kind == e.Kind)
}

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

// followEvents streams the events of all jobs.
func (s *Server) followEvents(c *fiber.Ctx) error {
	p := readParams(c, "queue", "type", "event")
	f := filter{queue: p.token("queue"), jobType: p.token("type")}
	f.kind = contract.Kind(p.word("event", "a kind of event, like succeeded", func(s string) bool { return contract.Kind(s).Known() }))
	if err := p.done(); err != nil {
		return err
	}
	from, given, err := lastEventID(c)
	if err != nil {
		return err
	}
	now, open := s.feed.now()
	if !open {
		return contract.Errorf(contract.CodeUnavailable, "", "the stream of events cannot be reached yet; try again")
	}
	if !given || from > now { // of another stream, or made up
		from = now
	}
	if s.feed.held(from) {
		return s.stream(c, func(e *eventWriter) error { return s.live(e, f, from) })
	}
	select {
	case s.replays <- struct{}{}:
	default:
		return contract.Errorf(contract.CodeTooMany, "", "%d clients read the past already; try again later", maxReplays)
	}
	free := sync.OnceFunc(func() { <-s.replays })
	return s.stream(c, func(e *eventWriter) error {
		defer free()
		at, err := s.replay(e, f, from)
		free()
		if err != nil {
			return err
		}
		return s.live(e, f, at)
	})
}

// errCaughtUp ends a replay: what follows is in memory.
var errCaughtUp = errors.New("caught up")

// replay sends what is behind a position from the stream, until the feed holds what comes next.
func (s *Server) replay(e *eventWriter, f filter, from uint64) (at uint64, err error) {
	at, unsent := from, 0
	err = s.events.Follow(s.leaving, from+1, func(st stream.Stored) error {
		at = st.Seq
		if f.wants(&st) {
			e.event(st.Seq, string(st.Event.Kind), st.Raw)
		}
		if unsent++; unsent >= feedTake {
			unsent = 0
			if err := e.flush(); err != nil {
				return err
			}
		}
		if s.feed.held(at) || st.Pending == 0 {
			return errCaughtUp
		}
		return nil
	})
	if errors.Is(err, errCaughtUp) {
		err = e.flush()
	}
	return at, err
}

// live sends what comes, until the client or the server ends, or the client is too slow for the feed.
func (s *Server) live(e *eventWriter, f filter, at uint64) error {
	for {
		events, more, err := s.feed.after(at)
		if err != nil {
			return e.drop(at, "you read more slowly than events come; come back with the id as Last-Event-ID")
		}
		for i := range events {
			if at = events[i].Seq; f.wants(&events[i]) {
				e.event(at, string(events[i].Event.Kind), events[i].Raw)
			} else {
				e.pass(at)
			}
		}
		if len(events) > 0 {
			if err := e.flush(); err != nil {
				return err
			}
			continue
		}
		if goOn, err := e.wait(more, nil); !goOn {
			return err
		}
	}
}

// jobEvents lists a job's events, or streams them until it has ended.
func (s *Server) jobEvents(c *fiber.Ctx) error {
	from, _, err := lastEventID(c)
	if err != nil {
		return err
	}
	job, err := s.jobOf(c)
	if err != nil {
		return err
	}
	if !wantsStream(c) {
		return s.listEvents(c, &job)
	}
	return s.stream(c, func(e *eventWriter) error { return s.followJob(e, job.JobID, from) })
}

// followJob goes by the document, which names every event of the job: what has not been sent is read and
// sent, whenever the document's bell rings, until the ledger holds the job as ended.
func (s *Server) followJob(e *eventWriter, id string, sent uint64) error {
	rings, takeDown := s.ledger.bells.hang(id)
	defer takeDown()
	var said *progressView
	for {
		job, err := s.ledger.job(s.base, id)
		if isNotFound(err) {
			return nil // its retention has ended
		}
		if err == nil {
			sent, err = s.sendNew(e, &job, sent)
		}
		if err == nil && job.State.Ended() {
			return e.end(&job)
		}
		if p := s.progress.of(id); p != nil && p != said {
			said = p
			if b, err := json.Marshal(p); err == nil {
				e.event(0, "progress", b)
			}
		}
		if err := e.flush(); err != nil {
			return err
		}
		var again <-chan struct{}
		if err != nil { // the stream is away: the bell may not ring again
			again = after(time.Second)
		}
		if goOn, err := e.wait(rings, again); !goOn {
			return err
		}
	}
}

// after closes a channel once, later.
func after(d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(d, func() { close(done) })
	return done
}

// sendNew sends the job's events behind a sequence, and says how far it came.
func (s *Server) sendNew(e *eventWriter, job *contract.Job, sent uint64) (uint64, error) {
	for _, seq := range job.Events {
		if seq <= sent {
			continue
		}
		ctx, cancel := s.work()
		st, err := s.events.Event(ctx, seq)
		cancel()
		if err != nil && !isNotFound(err) {
			return sent, err
		}
		if err == nil {
			e.event(seq, string(st.Event.Kind), st.Raw)
		}
		sent = seq
	}
	return sent, nil
}

// end says that nothing more will come by itself.
func (e *eventWriter) end(job *contract.Job) error {
	b, err := json.Marshal(receipt{JobID: job.JobID, Run: job.Run, State: job.State})
	if err != nil {
		return err
	}
	e.event(0, "end", b)
	return e.flush()
}
