package contract

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every percentile is within the stated error of the true one, for durations from nothing to years.
func TestPercentilesAreWithinTheStatedError(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var h Histogram
		all := make([]int64, 1+rng.IntN(3000))
		top := math.Log(float64(maxSample))
		for i := range all {
			all[i] = int64(math.Exp(rng.Float64()*top)) - 1
			h.Add(all[i], 1)
		}
		slices.Sort(all)
		got := h.Latency()
		for _, c := range []struct {
			percent int
			seconds float64
		}{{50, got.P50}, {95, got.P95}, {99, got.P99}, {100, got.Max}} {
			want := float64(all[(len(all)*c.percent+99)/100-1]) / 1000
			if math.Abs(c.seconds-want) > SketchError*want {
				t.Errorf("seed %d: p%d is %g, true %g", seed, c.percent, c.seconds, want)
			}
		}
	}
}

// Each bucket's middle is in the bucket and no further from its ends than stated; the bounds have one.
func TestEveryDurationHasABucket(t *testing.T) {
	t.Parallel()
	for b := range SketchBuckets {
		middle := sketchMiddle(b)
		if got := SketchBucket(int64(middle)); got != b {
			t.Fatalf("the middle of bucket %d, %g ms, is in bucket %d", b, middle, got)
		}
		least := int64(middle)
		for least > 0 && least > int64(middle)-32 && SketchBucket(least-1) == b {
			least--
		}
		if middle-float64(least) > SketchError*float64(least) {
			t.Fatalf("bucket %d: %g stands for %d", b, middle, least)
		}
	}
	for _, ms := range []int64{-5, 0, 31, 32, maxSample, math.MaxInt64} {
		if b := SketchBucket(ms); b < 0 || b >= SketchBuckets {
			t.Errorf("%d ms is in bucket %d of %d", ms, b, SketchBuckets)
		}
	}
	if SketchBucket(maxSample) != SketchBuckets-1 {
		t.Errorf("the longest is in bucket %d of %d", SketchBucket(maxSample), SketchBuckets)
	}
}

func TestSketchesSubtractAndMerge(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	var all, left, right Histogram
	for range 1000 {
		ms := rng.Int64N(1e6)
		all.Add(ms, 1)
		if rng.IntN(2) == 0 {
			left.Add(ms, 1)
		} else {
			right.Add(ms, 1)
		}
	}
	extra := rng.Int64N(1e6)
	left.Add(extra, 1)
	part := right.Sketch()
	left.Merge(&part, 1)
	left.Add(extra, -1)
	if left != all {
		t.Error("the parts are not the whole")
	}
	b, err := json.Marshal(Sketches{StageWork: all.Sketch()})
	if err != nil {
		t.Fatal(err)
	}
	var back Sketches
	var again Histogram
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if again.Merge(&back[StageWork], 1); again != all || len(back[StageQueue].Buckets) > 0 {
		t.Errorf("read back as another: %s", b)
	}
}

func TestSketchesAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`{"work":{"buckets":[1]}}`, `{"work":{"buckets":[-1,5]}}`, `{"work":{"buckets":[528,5]}}`, `{"play":{}}`, `[]`,
	} {
		var s Sketches
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
