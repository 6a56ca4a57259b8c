package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"
)

// alarms ring when a schedule is due. gocron keeps the time; which tick it is, and whether it still has
// to be fired, is decided by whoever is rung, from the record.
type alarms struct{ cron gocron.Scheduler }

const stopAlarms = 10 * time.Second

func startAlarms(clock clockwork.Clock) (*alarms, error) {
	// In UTC, since gocron takes two ticks that show the same wall clock, as in an hour that comes twice,
	// for one.
	cron, err := gocron.NewScheduler(gocron.WithClock(clock), gocron.WithLocation(time.UTC), gocron.WithStopTimeout(stopAlarms))
	if err != nil {
		return nil, fmt.Errorf("start alarms: %w", err)
	}
	cron.Start()
	return &alarms{cron}, nil
}

func (a *alarms) stop() error { return a.cron.Shutdown() }

// set makes an alarm that calls ring at each tick, until it is unset; ring's ctx ends with the alarm.
func (a *alarms) set(t timing, ring func(context.Context)) (uuid.UUID, error) {
	// Our own reading of cron texts, not gocron's: that one panics on `CRON_TZ=UTC`, refuses 7, and skips
	// what falls into a change of clocks.
	job, err := a.cron.NewJob(gocron.CronJob("", false), gocron.NewTask(ring), gocron.WithCronImplementation(ticks{t}))
	if err != nil {
		return uuid.Nil, fmt.Errorf("set alarm: %w", err)
	}
	return job.ID(), nil
}

func (a *alarms) unset(id uuid.UUID) {
	_ = a.cron.RemoveJob(id) // gone already is as good as removed
}

// ticks hands a timing to gocron.
type ticks struct{ timing }

// IsValid has nothing to say: a timing has been checked.
func (t ticks) IsValid(string, *time.Location, time.Time) error { return nil }

// Next gives the first tick after the last, in UTC.
func (t ticks) Next(last time.Time) time.Time { return t.next(last) }
