package api

import (
	"encoding/json"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/feed"
)

// jobEvents lists a job's events, or streams them until it has ended.
func (s *Server) jobEvents(c *fiber.Ctx) error {
	p := readParams(c, "event")
	f := feed.Filter{Kinds: p.kinds()}
	if err := p.done(); err != nil {
		return err
	}
	from, _, err := lastEventID(c)
	if err != nil {
		return err
	}
	job, err := s.jobOf(c)
	if err != nil {
		return err
	}
	if !wantsStream(c) {
		return s.listEvents(c, &job, &f)
	}
	return s.stream(c, func(e *eventWriter) error { return s.followJob(e, &f, job.JobID, from) })
}

// followJob goes by the document, which names every event of the job: what has not been sent is read and
// sent, whenever the document's bell rings, until the ledger holds the job as ended.
func (s *Server) followJob(e *eventWriter, f *feed.Filter, id string, sent uint64) error {
	rings, takeDown := s.ledger.bells.hang(id)
	defer takeDown()
	var said *progressView
	for {
		job, err := s.ledger.job(s.base, id)
		if isNotFound(err) {
			return nil // its retention has ended
		}
		if err == nil {
			sent, err = s.sendNew(e, f, &job, sent)
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

// sendNew sends the job's events behind a sequence, and says how far it came: past what the stream no longer has, but
// not past what a server of it has not stored yet, which the client would never see.
func (s *Server) sendNew(e *eventWriter, f *feed.Filter, job *contract.Job, sent uint64) (uint64, error) {
	for _, seq := range job.Events {
		if seq <= sent {
			continue
		}
		if err := s.sendOne(e, f, seq); err != nil && !isNotFound(err) {
			return sent, err
		}
		sent = seq
	}
	return sent, nil
}

// sendOne keeps an event for no longer than it takes to send it.
func (s *Server) sendOne(e *eventWriter, f *feed.Filter, seq uint64) error {
	ctx, cancel := s.work()
	defer cancel()
	st, giveBack, err := s.feed.Keep(ctx, seq)
	if err != nil {
		return err
	}
	defer giveBack()
	if f.Wants(st) {
		e.event(seq, string(st.Event.Kind), st.Raw)
	}
	return nil
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
