package aggregator

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every percentile is within 5 % of the true one, for durations from nothing to years.
func TestPercentilesAreWithinFivePercent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var h histogram
		all := make([]int64, 1+rng.IntN(3000))
		top := math.Log(float64(maxSample))
		for i := range all {
			all[i] = int64(math.Exp(rng.Float64()*top)) - 1
			h.add(all[i], 1)
		}
		slices.Sort(all)
		got := h.latency()
		for _, c := range []struct {
			percent int
			seconds float64
		}{{50, got.P50}, {95, got.P95}, {99, got.P99}, {100, got.Max}} {
			want := float64(all[(len(all)*c.percent+99)/100-1]) / 1000
			if math.Abs(c.seconds-want) > 0.05*want {
				t.Errorf("seed %d: p%d is %g, true %g", seed, c.percent, c.seconds, want)
			}
		}
	}
}

// Each bucket's middle is in the bucket, buckets follow one another, and the bounds have one.
func TestEveryDurationHasABucket(t *testing.T) {
	t.Parallel()
	for b := range allBuckets {
		if got := bucketOf(int64(middle(b))); got != b {
			t.Fatalf("the middle of bucket %d, %g ms, is in bucket %d", b, middle(b), got)
		}
	}
	for _, ms := range []int64{-5, 0, 31, 32, maxSample, math.MaxInt64} {
		if b := bucketOf(ms); b < 0 || b >= allBuckets {
			t.Errorf("%d ms is in bucket %d of %d", ms, b, allBuckets)
		}
	}
	if bucketOf(maxSample) != allBuckets-1 {
		t.Errorf("the longest is in bucket %d of %d", bucketOf(maxSample), allBuckets)
	}
}

func TestHistogramsSubtractAndMerge(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	var all, left, right histogram
	for range 1000 {
		ms := rng.Int64N(1e6)
		all.add(ms, 1)
		if rng.IntN(2) == 0 {
			left.add(ms, 1)
		} else {
			right.add(ms, 1)
		}
	}
	extra := rng.Int64N(1e6)
	left.add(extra, 1)
	left.merge(&right)
	left.add(extra, -1)
	if left != all {
		t.Error("the parts are not the whole")
	}
	var back histogram
	if err := back.read(all.wire()); err != nil || back != all {
		t.Errorf("read back: %v", err)
	}
	for _, bad := range [][]int64{{1}, {-1, 5}, {allBuckets, 5}} {
		if err := back.read(histogramWire{Buckets: bad}); err == nil {
			t.Errorf("%v was read", bad)
		}
	}
}
