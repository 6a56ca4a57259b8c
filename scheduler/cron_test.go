package scheduler

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-co-op/gocron/v2"

	"tallyman/contract"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04 -07", s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNext(t *testing.T) {
	t.Parallel()
	const from = "2026-11-21 16:10 +00" // a Saturday
	for _, c := range []struct{ name, cron, zone, after, want string }{
		{"every minute", "* * * * *", "", from, "2026-11-21 16:11 +00"},
		{"a name of a day", "0 7 * * MON", "", from, "2026-11-23 07:00 +00"},
		{"in its zone", "0 7 * * MON", "Asia/Tokyo", from, "2026-11-22 22:00 +00"},
		{"small letters", "0 7 * * mon", "", from, "2026-11-23 07:00 +00"},
		{"7 is Sunday", "0 7 * * 7", "", from, "2026-11-22 07:00 +00"},
		{"0 is Sunday", "0 7 * * 0", "", from, "2026-11-22 07:00 +00"},
		{"a range to 7", "0 7 * * 5-7", "", "2026-11-22 08:00 +00", "2026-11-27 07:00 +00"},
		{"a range of names", "0 7 * * MON-FRI", "", from, "2026-11-23 07:00 +00"},
		{"a name of a month", "0 0 1 FEB *", "", from, "2027-02-01 00:00 +00"},
		{"steps", "*/20 * * * *", "", from, "2026-11-21 16:20 +00"},
		{"steps in a range", "10-40/15 * * * *", "", from, "2026-11-21 16:25 +00"},
		{"steps from a number", "15/20 * * * *", "", from, "2026-11-21 16:15 +00"},
		{"a list", "5,50 * * * *", "", from, "2026-11-21 16:50 +00"},
		{"a list of ranges", "0-5,55-59 * * * *", "", from, "2026-11-21 16:55 +00"},
		{"both day fields: the Friday", "0 0 13 * 5", "", from, "2026-11-27 00:00 +00"},
		{"both day fields: the 13th", "0 0 13 * 5", "", "2026-12-12 00:00 +00", "2026-12-13 00:00 +00"},
		{"a leap day", "0 0 29 2 *", "", from, "2028-02-29 00:00 +00"},
		{"a leap day beyond 2100", "0 0 29 2 *", "", "2096-03-01 00:00 +00", "2104-02-29 00:00 +00"},
		{"the 31st", "0 0 31 * *", "", "2026-12-31 00:00 +00", "2027-01-31 00:00 +00"},
		{"spaces", "  0   7 *  * 1 ", "", from, "2026-11-23 07:00 +00"},
		{"seconds past", "* * * * *", "", from, "2026-11-21 16:11 +00"},
	} {
		got, err := Next(c.cron, c.zone, at(t, c.after))
		if err != nil || !got.Equal(at(t, c.want)) || got.Location() != time.UTC {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	got, err := Next("* * * * *", "", at(t, from).Add(59*time.Second))
	if err != nil || !got.Equal(at(t, "2026-11-21 16:11 +00")) {
		t.Errorf("within a minute: %s, %v", got, err)
	}
}

func TestEvery13thAndEveryFriday(t *testing.T) {
	t.Parallel()
	ticks, err := NextN("0 0 13 * 5", "", at(t, "2026-10-31 00:00 +00"), 10)
	if err != nil {
		t.Fatal(err)
	}
	want := "11-06 11-13 11-20 11-27 12-04 12-11 12-13 12-18 12-25 01-01"
	var got []string
	for _, tick := range ticks {
		got = append(got, tick.Format("01-02"))
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestBadTextsNameTheFieldAtFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cron, zone, field, says string }{
		{"", "", "cron", "0 fields; 5 are needed"},
		{"* * * *", "", "cron", "4 fields; 5 are needed"},
		{"0 * * * * *", "", "cron", "6 fields; 5 are needed"},
		{"@daily", "", "cron", "1 fields; 5 are needed"},
		{"CRON_TZ=UTC", "", "cron", "put it into timeZone"},
		{"TZ=UTC * * * * *", "", "cron", "put it into timeZone"},
		{"60 * * * *", "", "cron", `minute: "60" must be 0 to 59, or *`},
		{"* 24 * * *", "", "cron", "hour:"},
		{"* * 0 * *", "", "cron", "day of month:"},
		{"* * * 13 *", "", "cron", "month:"},
		{"* * * * 8", "", "cron", `day of week: "8" must be 0 to 7 or SUN to SAT, or *`},
		{"* * * * FRI-MON", "", "cron", "runs backwards"},
		{"* * ? * 1", "", "cron", `day of month: "?"`},
		{"* * L * *", "", "cron", `day of month: "L"`},
		{"*/0 * * * *", "", "cron", "step"},
		{"*/90 * * * *", "", "cron", "step"},
		{"*/ * * * *", "", "cron", "step"},
		{"1, * * * *", "", "cron", "minute:"},
		{"-1 * * * *", "", "cron", "minute:"},
		{"+1 * * * *", "", "cron", "minute:"},
		{"1-2-3 * * * *", "", "cron", "minute:"},
		{"0 0 30 2 *", "", "cron", "never fires"},
		{"0 0 31 4,6,9,11 *", "", "cron", "never fires"},
		{strings.Repeat("1,", 200) + "1 * * * *", "", "cron", "at most 256"},
		{"* * * * *", "Mars/Olympus", "timeZone", "IANA"},
		{"* * * * *", "Local", "timeZone", "IANA"},
		{"* * * * *", "../../etc/passwd", "timeZone", "IANA"},
		{"* * * * *", strings.Repeat("a", 65), "timeZone", "at most 64"},
	} {
		_, err := Next(c.cron, c.zone, time.Now())
		fault, ok := errors.AsType[*contract.Error](err)
		if !ok || fault.Field != c.field || !strings.Contains(fault.Message, c.says) {
			t.Errorf("%q in %q: %v", c.cron, c.zone, err)
		}
	}
}

func TestNextNIsBounded(t *testing.T) {
	t.Parallel()
	ticks, err := NextN("* * * * *", "", time.Now(), 1_000_000)
	if err != nil || len(ticks) != MaxPreview {
		t.Errorf("%d ticks, %v", len(ticks), err)
	}
	if ticks, err := NextN("* * * * *", "", time.Now(), -1); err != nil || len(ticks) != 0 {
		t.Errorf("%d ticks, %v", len(ticks), err)
	}
}

// FuzzNext holds our reading of cron texts to gocron's own, which is another's code: whatever we take, it
// must take to mean the same, but for 7 and for leap days more than five years away, which it refuses.
func FuzzNext(f *testing.F) {
	for _, s := range []string{
		"* * * * *", "*/7 1-5,22 * * MON-FRI", "0 0 13 * 5", "0 0 */2 * 5", "0 0 * * */2", "5/15 */5 29 2 *", "0 0 31 12 SUN",
		"CRON_TZ=UTC", "TZ=", "CRON_TZ=Europe/Berlin 0 0 * * *", "@every 1ns", "60 * * * *", "*/99999999999999999999 * * * *",
		"0 0 1,15 JAN-MAR 1-5/2", "0 0 * * 7", "\x00 * * * *", "0-59/60 * * * *",
	} {
		f.Add(s, int64(1_795_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		after := time.Unix(unix%4_000_000_000, 0).UTC()
		ours, err := parseTiming(text, "")
		if err != nil {
			if _, ok := errors.AsType[*contract.Error](err); !ok {
				t.Fatalf("%q: %v is no error that a caller can mend", text, err)
			}
			return
		}
		theirs := gocron.NewDefaultCron(false)
		if err := theirs.IsValid(text, time.UTC, after); err != nil {
			if !strings.Contains(text, "7") && !ours.dom.has(29) {
				t.Fatalf("%q: gocron refuses it: %v", text, err)
			}
			return
		}
		a, b := after, after
		for range 5 {
			a, b = ours.next(a), theirs.Next(b)
			if !b.IsZero() && !a.Equal(b) {
				t.Fatalf("%q after %s: we say %s, gocron %s", text, after, a, b)
			}
			b = a
		}
	})
}
