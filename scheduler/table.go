package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// table is the schedules as the bucket has them. It says when to look at a schedule; what is fired is
// decided by a fresh read.
type table struct {
	store    Schedules
	dispatch Dispatcher
	alarms   *alarms
	clock    clockwork.Clock
	log      *slog.Logger
	slots    chan struct{} // a place for each firing under way

	mu    sync.Mutex
	rows  map[string]*row
	zones map[string]*time.Location // as many as schedules name; each is some kilobytes
}

// row is one schedule. Its fields are guarded by the table's mutex.
type row struct {
	cron, zone string
	alarm      uuid.UUID
	due        time.Time // the first tick that has not been fired
	firing     bool
	again      bool // an alarm rang while it was being fired
	failures   int
	retry      time.Time // not before, after a failure
}

// maxFirings bounds the firings under way at one time: at midnight many schedules are due.
const maxFirings = 64

func newTable(o *Options, a *alarms) *table {
	return &table{
		store: o.Schedules, dispatch: o.Dispatcher, alarms: a, clock: o.Clock, log: o.Log,
		slots: make(chan struct{}, maxFirings), rows: make(map[string]*row), zones: make(map[string]*time.Location),
	}
}

// watch keeps the table as the bucket is, until ctx ends.
func (t *table) watch(ctx context.Context, loaded func() error) error {
	return t.store.Watch(ctx, ">", func(e stream.Entry) error {
		if e.Deleted {
			t.drop(e.Key)
			return nil
		}
		s, timing, err := t.read(e)
		if err != nil {
			t.log.Warn("a schedule cannot be read and is not fired", "scheduleId", e.Key, "error", err)
			t.drop(e.Key)
			return nil
		}
		return t.put(s, timing)
	}, loaded)
}

// read decodes an entry.
func (t *table) read(e stream.Entry) (contract.Schedule, timing, error) {
	s, err := contract.DecodeSchedule(e.Value)
	if err != nil {
		return s, timing{}, err
	}
	zone, err := t.zone(s.TimeZone)
	if err != nil {
		return s, timing{}, err
	}
	p, err := parsePattern(s.Cron)
	return s, timing{pattern: p, zone: zone}, err
}

func (t *table) zone(name string) (*time.Location, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if z := t.zones[name]; z != nil {
		return z, nil
	}
	z, err := loadZone(name)
	if err == nil {
		t.zones[name] = z
	}
	return z, err
}

// put takes a schedule in, or what has changed of it. Its alarm is only set anew where its ticks are
// other ones, so that recording a firing costs nothing.
func (t *table) put(s contract.Schedule, timing timing) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[s.ID]
	if r != nil && (r.cron != s.Cron || r.zone != s.TimeZone) {
		t.alarms.unset(r.alarm)
		r = nil
	}
	if r == nil {
		alarm, err := t.alarms.set(timing, func(ctx context.Context) { t.ring(ctx, s.ID) })
		if err != nil {
			return err
		}
		r = &row{cron: s.Cron, zone: s.TimeZone, alarm: alarm}
		t.rows[s.ID] = r
	}
	r.due = timing.next(fired(&s))
	return nil
}

func (t *table) drop(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[id]; r != nil {
		t.alarms.unset(r.alarm)
		delete(t.rows, id)
	}
}

// fired is the moment up to which a schedule's ticks are done with: a schedule has no ticks from before
// it was made.
func fired(s *contract.Schedule) time.Time {
	if s.LastTick.After(s.CreatedAt.Time) {
		return s.LastTick.Time
	}
	return s.CreatedAt.Time
}
