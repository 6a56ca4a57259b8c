package contract

import (
	"encoding/json"
	"testing"
	"testing/quick"
	"time"
)

func TestTimeThereAndBack(t *testing.T) {
	t.Parallel()
	same := func(ms int64) bool {
		ms = 1 + ms&(1<<47-1) // up to the year 6429
		at := AtMilli(ms)
		parsed, err := ParseTime(at.String())
		return err == nil && parsed == at && parsed == At(at.In(time.FixedZone("x", -3600))) && parsed.UnixMilli() == ms
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

func TestTimeThatIsAbsent(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]Time{"At": At(time.Time{}), "AtMilli": AtMilli(0), "zero": {}} {
		b, err := json.Marshal(struct {
			T Time `json:"t,omitzero"`
		}{at})
		if err != nil || string(b) != "{}" {
			t.Errorf("%s: %s %v", name, b, err)
		}
	}
}

func TestTimeIsCutToMilliseconds(t *testing.T) {
	t.Parallel()
	at := At(time.Date(2026, 11, 21, 18, 0, 0, 1_999_999, time.FixedZone("x", 7200)))
	if got := at.String(); got != "2026-11-21T16:00:00.001Z" {
		t.Error(got)
	}
}

func TestTimeUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{`null`, `1`, `""`, `"`, `{}`, `"2026-11-21"`, `"2026-11-21T16:00:00\u002e000Z"`} {
		var at Time
		if err := at.UnmarshalJSON([]byte(s)); err == nil {
			t.Errorf("%s was accepted as %s", s, at)
		}
	}
}
