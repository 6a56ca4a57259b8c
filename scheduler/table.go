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
	bells map[timing]*bell
	zones map[string]*time.Location // each is some kilobytes; one for a name makes timings comparable too
}

// row is one schedule. Its fields are guarded by the table's mutex.
type row struct {
	timing   timing
	due      time.Time // the first tick that has not been fired
	firing   bool
	again    bool // its alarm rang while it was being fired
	failures int
	retry    time.Time // not before, after a failure
}

// bell is one alarm for all schedules with the same ticks: thousands of them wake gocron once.
type bell struct {
	alarm uuid.UUID
	ids   map[string]bool
}

// maxFirings bounds the firings under way at one time: at midnight many schedules are due.
const maxFirings = 64

func newTable(o *Options, a *alarms) *table {
	return &table{
		store: o.Schedules, dispatch: o.Dispatcher, alarms: a, clock: o.Clock, log: o.Log,
		slots: make(chan struct{}, maxFirings),
		rows:  make(map[string]*row), bells: make(map[timing]*bell), zones: make(map[string]*time.Location),
	}
}

// watch keeps the table as the bucket is, until ctx ends.
func (t *table) watch(ctx context.Context, loaded func() error) error {
	return t.store.Watch(ctx, ">", func(e stream.Entry) error {
		if e.Key == contract.KeyRerunMark {
			return nil
		}
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

// put takes a schedule in, or what has changed of it.
func (t *table) put(s contract.Schedule, timing timing) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[s.ID]
	if r != nil && r.timing != timing {
		t.forget(s.ID, r)
		r = nil
	}
	if r == nil {
		if err := t.hang(s.ID, timing); err != nil {
			return err
		}
		r = &row{timing: timing}
		t.rows[s.ID] = r
	}
	r.due = timing.next(fired(&s))
	return nil
}

// note keeps how far a schedule has come, as its record says. Whether there is the schedule, and when it ticks, only the
// watch says: who fires it may be late.
func (t *table) note(s *contract.Schedule, timing timing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[s.ID]; r != nil && r.timing == timing {
		r.due = timing.next(fired(s))
	}
}

func (t *table) drop(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[id]; r != nil {
		t.forget(id, r)
	}
}

// hang joins a schedule to the bell of its ticks; t.mu is held.
func (t *table) hang(id string, timing timing) error {
	b := t.bells[timing]
	if b == nil {
		alarm, err := t.alarms.set(timing, func(ctx context.Context) { t.ring(ctx, timing) })
		if err != nil {
			return err
		}
		b = &bell{alarm: alarm, ids: make(map[string]bool)}
		t.bells[timing] = b
	}
	b.ids[id] = true
	return nil
}

// forget takes a schedule off its bell and out of the table; t.mu is held.
func (t *table) forget(id string, r *row) {
	delete(t.rows, id)
	b := t.bells[r.timing]
	delete(b.ids, id)
	if len(b.ids) == 0 {
		t.alarms.unset(b.alarm)
		delete(t.bells, r.timing)
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
