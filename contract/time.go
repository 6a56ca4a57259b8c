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

func (t Time) String() string { return t.UTC().Format(TimeLayout) }

// ParseTime accepts exactly TimeLayout, after the Unix epoch: what is parsed must format back to the same
// bytes, and the epoch itself is what AtMilli calls absent.
func ParseTime(s string) (Time, error) {
	t, err := time.Parse(TimeLayout, s)
	if err != nil || t.Format(TimeLayout) != s || t.UnixMilli() <= 0 {
		return Time{}, fmt.Errorf("%q is not a time like 2026-11-21T16:00:00.000Z", s)
	}
	return Time{t.UTC()}, nil
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
