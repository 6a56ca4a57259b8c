package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// schedules is the bucket in memory, without the payloads: they may be large, and a list needs none.
type schedules struct {
	mu     sync.RWMutex
	byID   map[string]keptSchedule
	told   uint64 // the newest revision that the watch has told of
	loaded chan struct{}
}

type keptSchedule struct {
	contract.Schedule
	revision uint64
	gone     bool // it was deleted here, and the watch has not told of that yet
}

func newSchedules() *schedules {
	return &schedules{byID: make(map[string]keptSchedule), loaded: make(chan struct{})}
}

func (s *schedules) run(ctx context.Context, bucket Watcher) error {
	return bucket.Watch(ctx, ">", s.take, func() error {
		close(s.loaded)
		return nil
	})
}

// take keeps what the watch tells of. What it tells late of a change that was made here is ignored.
func (s *schedules) take(e stream.Entry) error {
	k := keptSchedule{revision: e.Revision}
	if !e.Deleted && json.Unmarshal(e.Value, &k.Schedule) != nil {
		return nil // not ours; the scheduler, which would have to fire it, says so
	}
	k.Payload = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = max(s.told, e.Revision)
	switch had := s.byID[e.Key]; {
	case e.Deleted && had.revision > e.Revision: // it was made anew, with the same key
	case e.Deleted:
		delete(s.byID, e.Key)
	case !had.gone && had.revision < e.Revision:
		s.byID[e.Key] = k
	}
	return nil
}

// made keeps a schedule that was made here, so that whoever made it sees it at once.
func (s *schedules) made(r contract.Schedule, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision > s.told {
		r.Payload = nil
		s.byID[r.ID] = keptSchedule{Schedule: r, revision: revision}
	}
}

// deleted hides one that was deleted here, until the watch tells of it too.
func (s *schedules) deleted(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.byID[id]; ok {
		k.gone = true
		s.byID[id] = k
	}
}

func (s *schedules) list() []contract.Schedule {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]contract.Schedule, 0, len(s.byID))
	for _, k := range s.byID {
		if !k.gone {
			all = append(all, k.Schedule)
		}
	}
	slices.SortFunc(all, func(a, b contract.Schedule) int {
		return or(b.CreatedAt.Compare(a.CreatedAt.Time), strings.Compare(b.ID, a.ID))
	})
	return all
}

func (s *schedules) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byID)
}

// scheduleView is a schedule as clients see it.
type scheduleView struct {
	ScheduleID     string          `json:"scheduleId"`
	Cron           string          `json:"cron"`
	TimeZone       string          `json:"timeZone"`
	Queue          string          `json:"queue"`
	Type           string          `json:"type"`
	Payload        json.RawMessage `json:"payload,omitempty"`
	Tags           []string        `json:"tags,omitempty"`
	TimeoutSeconds int             `json:"timeoutSeconds,omitempty"`
	Submitter      string          `json:"submitter"`
	CreatedAt      contract.Time   `json:"createdAt"`
	NextRun        contract.Time   `json:"nextRun,omitzero"`
	LastTick       contract.Time   `json:"lastTick,omitzero"`
	LastJobID      string          `json:"lastJobId,omitempty"`
}

func (s *Server) scheduleView(r *contract.Schedule) scheduleView {
	v := scheduleView{
		ScheduleID: r.ID, Cron: r.Cron, TimeZone: r.TimeZone, Queue: r.Queue, Type: r.Type, Payload: r.Payload,
		Tags: r.Tags, TimeoutSeconds: r.TimeoutSeconds, Submitter: r.Submitter, CreatedAt: r.CreatedAt,
		LastTick: r.LastTick, LastJobID: r.LastJobID,
	}
	if next, err := s.cron.Next(r.Cron, r.TimeZone, s.now()); err == nil { // one that never fires again has none
		v.NextRun = contract.At(next)
	}
	return v
}

// readSchedule reads the body of POST /jobs/schedule. syntax is another name of cron.
func (s *Server) readSchedule(body []byte) (contract.Schedule, error) {
	if body == nil {
		return contract.Schedule{}, contract.Errorf(contract.CodeMissingField, "cron", `cron is required: {"cron": "* * * * *"}`)
	}
	f, err := openForm(body)
	if err != nil {
		return contract.Schedule{}, err
	}
	p := readWork(f)
	name, cron := readCron(f)
	zone := or(f.text("timeZone", "an IANA name like Europe/Berlin", validZone), "UTC")
	if err := f.done(); err != nil {
		return contract.Schedule{}, err
	}
	if _, err := s.cron.Next(cron, zone, s.now()); err != nil {
		return contract.Schedule{}, cronFault(err, name)
	}
	if err := s.settle(&p); err != nil {
		return contract.Schedule{}, err
	}
	return contract.Schedule{
		V: 1, ID: s.newID(), Cron: cron, TimeZone: zone, Queue: p.queue, Type: p.jobType, Payload: p.payload,
		Tags: p.tags, TimeoutSeconds: p.timeoutSeconds, CreatedAt: contract.At(s.now()),
	}, nil
}

// cronFault names the field under the name that the client gave it.
func cronFault(err error, name string) error {
	fault, ok := errors.AsType[*contract.Error](err)
	if !ok {
		return contract.Errorf(contract.CodeInvalidValue, name, "%s: %v", name, err)
	}
	if fault.Field == "cron" {
		return contract.Errorf(fault.Code, name, "%s", fault.Message)
	}
	return fault
}

func readCron(f *form) (name, cron string) {
	name = "cron"
	if _, ok := f.fields["cron"]; !ok {
		if _, alias := f.fields["syntax"]; alias {
			name = "syntax"
		} else {
			f.fail(contract.CodeMissingField, name, `is required, five fields like "0 7 * * MON"`)
		}
	}
	f.known = append(f.known, "cron", "syntax")
	if name == "cron" && f.fields["syntax"] != nil {
		f.fail(contract.CodeInvalidValue, "syntax", "stands beside cron; one of the two")
	}
	return name, f.text(name, fmt.Sprintf("five fields, at most %d bytes", contract.MaxCron), func(s string) bool {
		return strings.TrimSpace(s) != "" && len(s) <= contract.MaxCron
	})
}

// validZone asks Go's own list; Local would be another zone on every machine.
func validZone(name string) bool {
	if name == "" || name == "Local" || len(name) > contract.MaxZone {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

func (s *Server) createSchedule(c *fiber.Ctx) error {
	from, err := readSubmission(c)
	if err != nil {
		return err
	}
	body, err := jsonBody(c, maxPostBody)
	if err != nil {
		return err
	}
	r, err := s.readSchedule(body)
	if err != nil {
		return err
	}
	r.Submitter = from.submitter
	if from.key != "" {
		r.ID = contract.ScheduleKeyID(from.submitter, from.key)
	}
	if err := fitsTask(&r); err != nil {
		return err
	}
	ctx, cancel := s.work()
	defer cancel()
	if r, err = s.makeSchedule(ctx, r, from.key != ""); err != nil {
		return err
	}
	c.Set(fiber.HeaderLocation, "/schedules/"+r.ID)
	return c.Status(fiber.StatusCreated).JSON(s.scheduleView(&r))
}

// makeSchedule stores a schedule. With a key it may be there: then it is given as it is by now, and nothing is stored.
func (s *Server) makeSchedule(ctx context.Context, r contract.Schedule, keyed bool) (contract.Schedule, error) {
	b, err := r.Encode()
	if err != nil {
		return r, fmt.Errorf("schedule %s: %w", r.ID, err)
	}
	for range scheduleTries {
		if keyed {
			if had, err := s.scheduledBefore(ctx, &r); !isNotFound(err) {
				return had, err
			}
		}
		if s.schedules.count() >= contract.MaxSchedules {
			return r, contract.Errorf(contract.CodeConflict, "", "there are %d schedules, the most that are kept; delete some first", contract.MaxSchedules)
		}
		revision, err := s.store.Create(ctx, r.ID, b)
		if keyed && errors.Is(err, stream.ErrConflict) {
			continue // a repeat was faster
		}
		if err == nil {
			s.schedules.made(r, revision)
		}
		return r, err
	}
	return r, stream.ErrUnavailable
}

// scheduledBefore gives the schedule that r's key has made; stream.ErrNotFound where there is none, or no more. As with
// jobs, a key that comes back with other work is a mistake of the client's.
func (s *Server) scheduledBefore(ctx context.Context, r *contract.Schedule) (had contract.Schedule, err error) {
	e, err := s.store.Get(ctx, r.ID)
	if err != nil {
		return had, err
	}
	if err := json.Unmarshal(e.Value, &had); err != nil {
		return had, fmt.Errorf("schedule %s: %w", r.ID, err)
	}
	if had.Cron != r.Cron || had.TimeZone != r.TimeZone || had.Queue != r.Queue || had.Type != r.Type || !bytes.Equal(had.Payload, r.Payload) ||
		had.TimeoutSeconds != r.TimeoutSeconds || !slices.Equal(had.Tags, r.Tags) {
		return had, contract.Errorf(contract.CodeConflict, headerKey, "this key has made schedule %s, which is another; choose another key", r.ID)
	}
	return had, nil
}

// fitsTask refuses now what every tick would fail to encode.
func fitsTask(r *contract.Schedule) error {
	t := contract.Task{
		JobID: r.ID, Run: 1, Type: r.Type, Queue: r.Queue, Payload: r.Payload, SubmittedAt: r.CreatedAt,
		Submitter: r.Submitter, Source: contract.FromSchedule, Schedule: r.ID, ScheduledFor: r.CreatedAt,
		TimeoutSeconds: r.TimeoutSeconds, Tags: r.Tags,
	}
	_, err := t.Encode()
	return err
}

func (s *Server) listSchedules(c *fiber.Ctx) error {
	if err := s.schedulesLoaded(); err != nil {
		return err
	}
	all := s.schedules.list()
	views := make([]scheduleView, 0, len(all))
	for i := range all {
		views = append(views, s.scheduleView(&all[i]))
	}
	return c.JSON(map[string][]scheduleView{"schedules": views})
}

func (s *Server) schedulesLoaded() error {
	ctx, cancel := context.WithTimeout(s.base, waitForLedger)
	defer cancel()
	select {
	case <-s.schedules.loaded:
		return nil
	case <-ctx.Done():
		return contract.Errorf(contract.CodeUnavailable, "", "the schedules are still being read; try again")
	}
}

// schedule reads one with its payload and its revision.
func (s *Server) schedule(ctx context.Context, c *fiber.Ctx) (r contract.Schedule, revision uint64, err error) {
	id := c.Params("scheduleId")
	none := contract.Errorf(contract.CodeNotFound, "", "there is no such schedule, or no more")
	if !contract.ValidToken(id) {
		return r, 0, none
	}
	e, err := s.store.Get(ctx, id)
	if isNotFound(err) {
		return r, 0, none
	}
	if err != nil {
		return r, 0, err
	}
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return r, 0, fmt.Errorf("schedule %s: %w", id, err)
	}
	return r, e.Revision, nil
}

func (s *Server) getSchedule(c *fiber.Ctx) error {
	ctx, cancel := s.work()
	defer cancel()
	r, _, err := s.schedule(ctx, c)
	if err != nil {
		return err
	}
	return c.JSON(s.scheduleView(&r))
}

// scheduleTries bounds how often a deletion loses against the scheduler, which writes the last tick, and a post with a
// key against its own repeats.
const scheduleTries = 16

func (s *Server) deleteSchedule(c *fiber.Ctx) error {
	ctx, cancel := s.work()
	defer cancel()
	for range scheduleTries {
		r, revision, err := s.schedule(ctx, c)
		if err != nil {
			return err
		}
		err = s.store.Delete(ctx, r.ID, revision)
		if errors.Is(err, stream.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		s.schedules.deleted(r.ID)
		return c.SendStatus(fiber.StatusNoContent)
	}
	return stream.ErrUnavailable
}
