package figures

import (
	"math"
	"slices"
	"time"
)

// Percentile is the smallest of the samples that p of a hundred do not exceed, in seconds; 0 of none.
func Percentile(samples []time.Duration, p float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1].Seconds()
}
