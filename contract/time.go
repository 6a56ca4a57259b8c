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
	if len(s) != len(TimeLayout) {
		return Time{}, false
	}
	var n [7]int // year, month, day, hour, minute, second, millisecond
	part := 0
	for i := range len(s) {
		digit := s[i] - '0'
		switch {
		case digit <= 9 && isDigit(TimeLayout[i]):
			n[part] = n[part]*10 + int(digit)
		case s[i] != TimeLayout[i] || digit <= 9:
			return Time{}, false
		default:
			part++
		}
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*1e6, time.UTC)
	if t.Month() != time.Month(n[1]) || t.Day() != n[2] || n[3] > 23 || n[4] > 59 || n[5] > 59 || t.UnixMilli() <= 0 {
		return Time{}, false
	}
	return Time{t}, true
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
