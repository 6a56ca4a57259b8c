package scheduler

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
	_ "time/tzdata" // an image made from nothing has no zones of its own

	"tallyman/contract"
)

// MaxPreview is the most ticks that NextN gives.
const MaxPreview = 1000

// Next gives the first tick after a moment. Errors are contract.Errors that name the field at fault.
//
// A cron text has five fields: minute, hour, day of month, month, day of week. Names (MON, JAN), 7 for
// Sunday, lists, ranges and steps are known. Where both day fields are restricted, a day that either
// matches will do: `0 0 13 * 5` is every 13th and every Friday. There are no seconds, no @daily and no
// TZ= in front; the zone is an IANA name, UTC where it is empty.
//
// When clocks change, a schedule for every hour follows the time that really passes: `30 * * * *` skips
// an hour that is skipped, and fires in both of an hour that comes twice. Any other fires once for each
// time that it names: at the first of two, and for a time that is skipped at the moment the clocks
// change, so that a nightly job runs every night.
func Next(cron, zone string, after time.Time) (time.Time, error) {
	t, err := parseTiming(cron, zone)
	if err != nil {
		return time.Time{}, err
	}
	return t.next(after), nil
}

// NextN gives the n first ticks after a moment, at most MaxPreview.
func NextN(cron, zone string, after time.Time, n int) ([]time.Time, error) {
	t, err := parseTiming(cron, zone)
	if err != nil {
		return nil, err
	}
	ticks := make([]time.Time, min(max(n, 0), MaxPreview))
	for i := range ticks {
		after = t.next(after)
		ticks[i] = after
	}
	return ticks, nil
}

// pattern is a cron text without a zone: which minutes on which days.
type pattern struct {
	minute, hour, dom, month, dow set
	everyHour                     bool // the hour is left open
	anyDOM, anyDOW                bool // the field is a star
}

// fields gives the five in their order; a function, so that nobody can change them.
func fields() [5]bounds {
	return [5]bounds{
		{field: "minute", low: 0, high: 59, most: 59},
		{field: "hour", low: 0, high: 23, most: 23},
		{field: "day of month", low: 1, high: 31, most: 31},
		{field: "month", low: 1, high: 12, most: 12, names: []string{
			"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
		}},
		{field: "day of week", low: 0, high: 6, most: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
	}
}

func parsePattern(text string) (pattern, error) {
	if len(text) > contract.MaxCron {
		return pattern{}, contract.Errorf(contract.CodeTooLarge, "cron", "%d bytes, at most %d are allowed", len(text), contract.MaxCron)
	}
	words := strings.Fields(text)
	if strings.Contains(text, "TZ=") {
		return pattern{}, badCron("a zone does not belong here; put it into timeZone")
	}
	if len(words) != 5 {
		return pattern{}, badCron(fmt.Sprintf("%d fields; 5 are needed: minute, hour, day of month, month, day of week", len(words)))
	}
	var sets [5]set
	for i, b := range fields() {
		s, err := b.parse(words[i])
		if err != nil {
			return pattern{}, badCron(err.Error())
		}
		sets[i] = s
	}
	p := pattern{
		minute: sets[0], hour: sets[1], dom: sets[2], month: sets[3], dow: sets[4],
		everyHour: sets[1].full(fields()[1]), anyDOM: star(words[2]), anyDOW: star(words[4]),
	}
	if p.never() {
		return pattern{}, badCron("it never fires: no month of it has such a day")
	}
	return p, nil
}

func badCron(what string) error {
	return contract.Errorf(contract.CodeInvalidValue, "cron", "%s", contract.CutText(what, 200))
}

// never finds days such as the 30th of February. A day of the week comes in every month.
func (p *pattern) never() bool {
	first := bits.TrailingZeros64(uint64(p.dom))
	for month, days := range [...]int{1: 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31} {
		if month > 0 && p.month.has(month) && (!p.anyDOW || first <= days) {
			return false
		}
	}
	return true
}

// onDay tells whether the pattern has ticks on the day of t, whose clock is the one that is meant.
func (p *pattern) onDay(t time.Time) bool {
	if !p.month.has(int(t.Month())) {
		return false
	}
	dom, dow := p.dom.has(t.Day()), p.dow.has(int(t.Weekday()))
	if p.anyDOM || p.anyDOW {
		return dom && dow
	}
	return dom || dow
}
