package contract

import (
	"fmt"
	"time"
)

// TimeLayout is the one spelling of a timestamp: UTC, milliseconds, a Z.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Time is a moment in UTC to the millisecond. Its zero value means absent.
type Time struct{ time.Time }

// At cuts t to what the wire can say.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Millisecond)}
}

// AtMilli is the moment ms milliseconds after the Unix epoch; 0 is the zero Time.
func AtMilli(ms int64) Time {
	if ms == 0 {
		return Time{}
	}
	return At(time.UnixMilli(ms))
}

func (t Time) String() string { return string(t.AppendTo(nil)) }

// AppendTo writes TimeLayout behind b; time.Format takes five times as long.
func (t Time) AppendTo(b []byte) []byte {
	u := t.UTC()
	year, month, day := u.Date()
	hour, minute, second := u.Clock()
	if year < 0 || year > 9999 { // nothing of ours, and no place for its digits
		return u.AppendFormat(b, TimeLayout)
	}
	b = appendDigits(b, year, 1000, '-')
	b = appendDigits(b, int(month), 10, '-')
	b = appendDigits(b, day, 10, 'T')
	b = appendDigits(b, hour, 10, ':')
	b = appendDigits(b, minute, 10, ':')
	b = appendDigits(b, second, 10, '.')
	return appendDigits(b, u.Nanosecond()/1e6, 100, 'Z')
}

// appendDigits writes n from the place on, zeros too, and what stands behind it.
func appendDigits(b []byte, n, place int, behind byte) []byte {
	for ; place > 0; place /= 10 {
		b = append(b, byte('0'+n/place%10))
	}
	return append(b, behind)
}

// ParseTime accepts exactly TimeLayout, after the Unix epoch, which is what AtMilli calls absent.
func ParseTime(s string) (Time, error) {
	t, ok := parseTime(s)
	if !ok {
		return Time{}, fmt.Errorf("%q is not a time like 2026-11-21T16:00:00.000Z", s)
	}
	return t, nil
}

// parseTime reads digits in their places, since time.Parse takes more spellings than one, and ten times as
// long; every event has three of these.
func parseTime(s string) (Time, bool) {
	if len(s) != len(TimeLayout) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' {
		return Time{}, false
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second, ms := digits(s[11:13]), digits(s[14:16]), digits(s[17:19]), digits(s[20:23])
	if min(year, hour, minute, second, ms) < 0 || hour > 23 || minute > 59 || second > 59 ||
		month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, ms*1e6, time.UTC)
	if t.UnixMilli() <= 0 {
		return Time{}, false
	}
	return Time{t}, true
}

// digits reads a number of digits only; -1 is none.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4, month == 6, month == 9, month == 11:
		return 30
	}
	return 31
}

// MarshalJSON writes the one spelling.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalJSON reads the one spelling.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("%s is not a time", b)
	}
	p, err := ParseTime(string(b[1 : len(b)-1]))
	if err != nil {
		return err
	}
	*t = p
	return nil
}

// IsZero makes `omitzero` leave an absent time out.
func (t Time) IsZero() bool { return t.Time.IsZero() }
