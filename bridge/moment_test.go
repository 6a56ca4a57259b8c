package bridge

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 0, 5, 250e6, time.UTC)
	for name, c := range map[string]struct {
		at   time.Time
		want string
	}{
		"a whole second stands for its end": {time.Date(2026, 11, 21, 10, 0, 3, 0, time.UTC), "2026-11-21T10:00:03.999Z"},
		"but for none that is to come":      {time.Date(2026, 11, 21, 10, 0, 5, 0, time.UTC), "2026-11-21T10:00:05.250Z"},
		"a finer time stands for itself":    {time.Date(2026, 11, 21, 10, 0, 3, 120e6, time.UTC), "2026-11-21T10:00:03.120Z"},
		"a clock ahead of ours":             {time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC), "2026-11-21T10:00:05.250Z"},
		"another zone":                      {time.Date(2026, 11, 21, 11, 0, 3, 120e6, time.FixedZone("", 3600)), "2026-11-21T10:00:03.120Z"},
	} {
		if got := moment(metav1.Time{Time: c.at}, now).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	for _, none := range []time.Time{{}, time.Unix(0, 0)} {
		if got := moment(metav1.Time{Time: none}, now); !got.IsZero() {
			t.Errorf("%s is taken for a time: %s", none, got)
		}
	}
}
