package figures

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	var samples []time.Duration
	for i := range 100 { // 100 s down to 1 s
		samples = append(samples, time.Duration(100-i)*time.Second)
	}
	for p, want := range map[float64]float64{0: 1, 50: 50, 95: 95, 99: 99, 100: 100} {
		if got := Percentile(samples, p); got != want {
			t.Errorf("the %g-th is %g, want %g", p, got, want)
		}
	}
	if got := Percentile(samples[:1], 99); got != 100 {
		t.Errorf("of one sample it is %g", got)
	}
	if got := Percentile(nil, 50); got != 0 {
		t.Errorf("of none it is %g", got)
	}
}
