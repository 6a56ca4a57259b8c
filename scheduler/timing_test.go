package scheduler

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestClocksThatChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cron, zone, after, want string }{
		// New York, 8 March 2026: 02:00 EST is followed by 03:00 EDT.
		{"a skipped time fires when the clocks change", "30 2 * * *", "America/New_York", "2026-03-08 00:00 -05",
			"03-08 03:00 EDT, 03-09 02:30 EDT"},
		{"several skipped times fire once", "0,15,30 2 * * *", "America/New_York", "2026-03-08 00:00 -05",
			"03-08 03:00 EDT, 03-09 02:00 EDT"},
		{"a skipped time that meets another is one tick", "0 2,3 * * *", "America/New_York", "2026-03-08 00:00 -05",
			"03-08 03:00 EDT, 03-09 02:00 EDT"},
		{"every hour skips the skipped", "30 * * * *", "America/New_York", "2026-03-08 01:00 -05",
			"03-08 01:30 EST, 03-08 03:30 EDT"},
		// New York, 1 November 2026: 02:00 EDT is followed by 01:00 EST.
		{"a time that comes twice fires at the first", "30 1 * * *", "America/New_York", "2026-11-01 00:00 -04",
			"11-01 01:30 EDT, 11-02 01:30 EST"},
		{"every hour fires in both", "30 * * * *", "America/New_York", "2026-11-01 00:00 -04",
			"11-01 00:30 EDT, 11-01 01:30 EDT, 11-01 01:30 EST, 11-01 02:30 EST"},
		{"every second hour follows the clock", "0 */2 * * *", "America/New_York", "2026-11-01 00:00 -04",
			"11-01 02:00 EST, 11-01 04:00 EST"},
		// Berlin, 29 March and 25 October 2026.
		{"Berlin in spring", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00 +01", "03-29 03:00 CEST, 03-30 02:30 CEST"},
		{"Berlin in autumn", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00 +02", "10-25 02:30 CEST, 10-26 02:30 CET"},
		// Lord Howe changes by half an hour: 4 October 2026, 02:00 is followed by 02:30.
		{"half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00 +10", "10-04 02:30 +11, 10-05 02:15 +11"},
		// Santiago, 6 September 2026: 00:00 is followed by 01:00, so the day begins late.
		{"a day without a midnight", "0 0 * * *", "America/Santiago", "2026-09-05 12:00 -04", "09-06 01:00 -03, 09-07 00:00 -03"},
		{"every hour of a day without a midnight", "0 * 6 9 *", "America/Santiago", "2026-09-05 12:00 -04", "09-06 01:00 -03, 09-06 02:00 -03"},
		// Samoa had no 30 December 2011.
		{"a day that never was", "0 12 * * *", "Pacific/Apia", "2011-12-29 13:00 -10", "12-31 00:00 +14, 12-31 12:00 +14"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		ticks, err := NextN(c.cron, c.zone, at(t, c.after), strings.Count(c.want, ",")+1)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tick := range ticks {
			got = append(got, tick.In(zone).Format("01-02 15:04 MST"))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, s, c.want)
		}
	}
}

// TestTicksAreWhatTheClocksShow walks along the minutes around changes of clocks and watches what the
// clocks show: a tick is the minute at which they first reach, or pass over, a reading that matches. For
// a schedule of every hour it is every minute that matches.
func TestTicksAreWhatTheClocksShow(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	changes := map[string]string{
		"America/New_York": "2026-03-08 07:00 +00", "Europe/Berlin": "2026-10-25 01:00 +00", "Australia/Lord_Howe": "2026-04-04 15:00 +00",
		"America/Santiago": "2026-04-05 03:00 +00", "Asia/Kolkata": "2026-01-31 18:30 +00", "Pacific/Apia": "2011-12-30 10:00 +00",
		"America/St_Johns": "2011-11-06 02:31 +00", "UTC": "2028-02-29 00:00 +00",
	}
	for zone, change := range changes {
		for range 60 {
			cron := pick("*", "0", "30", "*/7", "59", "10-20") + " " + pick("*", "0", "1", "2", "0-4", "*/2", "23", "22-23") + " " +
				pick("*", "*", "29-31", "1", "*/2") + " * " + pick("*", "*", "SUN", "1-5")
			checkTicks(t, cron, zone, at(t, change).Add(-30*time.Hour))
		}
	}
}

func checkTicks(t *testing.T, cron, zone string, from time.Time) {
	t.Helper()
	timing, err := parseTiming(cron, zone)
	if err != nil {
		t.Fatal(err)
	}
	next := timing.next(from)
	shown := timing.reading(from)
	for i := 1; i <= 60*60; i++ {
		now := from.Add(time.Duration(i) * time.Minute)
		is := timing.reading(now)
		want := timing.matches(is)
		if !timing.everyHour {
			want = false
			for r := shown.Add(time.Minute); !r.After(is); r = r.Add(time.Minute) {
				want = want || timing.matches(r)
			}
		}
		if is.After(shown) {
			shown = is
		}
		if got := next.Equal(now); got != want {
			t.Fatalf("%q in %s at %s: tick %v, want %v", cron, zone, now.In(timing.zone), got, want)
		}
		if want {
			next = timing.next(now)
		}
	}
}

// matches is the plain meaning of a pattern.
func (p *pattern) matches(r time.Time) bool {
	return p.onDay(r) && p.hour.has(r.Hour()) && p.minute.has(r.Minute())
}

func TestLastIsTheNewestTick(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for _, cron := range []string{"* * * * *", "*/7 * * * *", "0 2 * * *", "30 2 * * *", "0 0 1 * *", "0 0 29 2 *", "0-5 9 * * MON"} {
		timing, err := parseTiming(cron, "America/New_York")
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			after := time.Unix(1_770_000_000+random.Int64N(40_000_000), random.Int64N(1e9)).UTC()
			until := after.Add(time.Duration(random.Int64N(int64(20 * 24 * time.Hour))))
			var want time.Time
			for tick := timing.next(after); !tick.After(until); tick = timing.next(tick) {
				want = tick
			}
			got, ok := timing.last(after, until)
			if ok == want.IsZero() || ok && !got.Equal(want) {
				t.Fatalf("%q from %s to %s: got %s %v, want %s", cron, after, until, got, ok, want)
			}
		}
	}
	if _, ok := (&timing{}).last(time.Now(), time.Now().Add(-time.Hour)); ok {
		t.Error("a tick in no time at all")
	}
}

func BenchmarkLastOfAYear(b *testing.B) {
	timing, err := parseTiming("* * * * *", "America/New_York")
	if err != nil {
		b.Fatal(err)
	}
	until := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		timing.last(until.AddDate(-1, 0, 0), until)
	}
}
