package scheduler

import (
	"sort"
	"time"

	"tallyman/contract"
)

// timing is a pattern on the clocks of a place.
//
// A clock reading is a time.Time in UTC that holds what the clocks of the place show, so that reckoning
// with days and minutes knows no changes of clocks.
type timing struct {
	pattern
	zone *time.Location
}

func parseTiming(cron, zone string) (timing, error) {
	loc, err := loadZone(zone)
	if err != nil {
		return timing{}, err
	}
	p, err := parsePattern(cron)
	return timing{pattern: p, zone: loc}, err
}

// loadZone knows IANA names. `Local` would be another zone on every machine.
func loadZone(name string) (*time.Location, error) {
	if len(name) > contract.MaxZone {
		return nil, contract.Errorf(contract.CodeTooLarge, "timeZone", "%d bytes, at most %d are allowed", len(name), contract.MaxZone)
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, contract.Errorf(contract.CodeInvalidValue, "timeZone", "%q is not an IANA time zone like Europe/Berlin", name)
	}
	return loc, nil
}

// next gives the first tick after a moment.
func (t *timing) next(after time.Time) time.Time {
	if t.everyHour {
		return t.nextElapsed(after)
	}
	reading := t.reading(after)
	for {
		reading = t.nextReading(reading)
		// In an hour that comes twice, readings of its second pass have had their tick in the first.
		if tick := t.moment(reading); tick.After(after) {
			return tick
		}
	}
}

// nextElapsed goes along the time that passes, minute by minute, and jumps over days without ticks.
func (t *timing) nextElapsed(after time.Time) time.Time {
	tick := after.UTC().Truncate(time.Minute).Add(time.Minute)
	for {
		reading := t.reading(tick)
		switch {
		case !t.onDay(reading):
			// Days that begin twice or not at all are why the jump may lead nowhere new.
			if day := t.moment(t.nextDay(reading)); day.After(tick) {
				tick = day
				continue
			}
		case t.minute.has(reading.Minute()):
			return tick
		}
		tick = tick.Add(time.Minute)
	}
}

// nextReading gives the first reading after one that the pattern matches.
func (t *timing) nextReading(r time.Time) time.Time {
	r = r.Truncate(time.Minute).Add(time.Minute)
	for {
		switch {
		case !t.onDay(r):
			r = t.nextDay(r)
		case !t.hour.has(r.Hour()):
			r = r.Truncate(time.Hour).Add(time.Hour)
		case !t.minute.has(r.Minute()):
			r = r.Add(time.Minute)
		default:
			return r
		}
	}
}

// nextDay gives midnight of the next day that is worth a look: months without ticks are jumped over.
func (t *timing) nextDay(r time.Time) time.Time {
	if !t.month.has(int(r.Month())) {
		return time.Date(r.Year(), r.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return time.Date(r.Year(), r.Month(), r.Day()+1, 0, 0, 0, 0, time.UTC)
}

// reading is what the clocks show at a moment.
func (t *timing) reading(at time.Time) time.Time {
	_, offset := at.In(t.zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// moment is when the clocks first show a reading; where they skip it, when they do.
func (t *timing) moment(r time.Time) time.Time {
	// Date promises one of the two sides of a change, and not which.
	guess := time.Date(r.Year(), r.Month(), r.Day(), r.Hour(), r.Minute(), 0, 0, t.zone)
	begin, end := guess.ZoneBounds()
	switch shown := t.reading(guess); {
	case shown.Before(r): // skipped, seen from before the change
		return end.UTC()
	case shown.After(r): // skipped, seen from behind it
		return begin.UTC()
	case begin.IsZero():
		return guess.UTC()
	}
	_, offset := begin.Add(-time.Nanosecond).In(t.zone).Zone()
	if earlier := r.Add(-time.Duration(offset) * time.Second); earlier.Before(begin) {
		return earlier
	}
	return guess.UTC()
}

// last gives the newest tick after one moment and not after another; false where there is none.
func (t *timing) last(after, until time.Time) (time.Time, bool) {
	if !until.After(after) {
		return time.Time{}, false
	}
	// That a tick is still to come before `until` holds up to the last tick and not from there on, so
	// years of missed minutes are searched in twenty steps.
	minutes := int(until.Sub(after)/time.Minute) + 1
	none := sort.Search(minutes, func(i int) bool {
		return t.next(after.Add(time.Duration(i) * time.Minute)).After(until)
	})
	if none == 0 {
		return time.Time{}, false
	}
	return t.next(after.Add(time.Duration(none-1) * time.Minute)), true
}
