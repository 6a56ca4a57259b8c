package aggregator

import (
	"fmt"
	"math/bits"

	"tallyman/contract"
)

// stage is a part of a run's life that is timed.
type stage int

const (
	stageQueue stage = iota
	stageClaim
	stageStart
	stageWork
	stageOverall
	stages
)

// A histogram is log-linear: below 32 ms each millisecond has its bucket, above it each octave has 16.
// A value is at most half a bucket's width from its middle, so at most 1/32 = 3.2 % off. Unlike a
// digest it can be subtracted from, and merged with another.
const (
	perOctave  = 16
	maxSample  = 1<<36 - 1 // two years in milliseconds
	allBuckets = perOctave*(36-5) + 2*perOctave
)

type histogram struct {
	counts [allBuckets]int64
	count  int64
	total  int64 // in milliseconds, exact
}

// bucketOf gives the bucket of a duration.
func bucketOf(ms int64) int {
	ms = min(max(ms, 0), maxSample)
	octave := max(0, bits.Len64(uint64(ms))-5)
	return octave*perOctave + int(ms>>octave)
}

// middle is what a bucket's values are taken for, in milliseconds.
func middle(bucket int) float64 {
	if bucket < 2*perOctave {
		return float64(bucket)
	}
	octave := bucket/perOctave - 1
	least := int64(bucket-octave*perOctave) << octave
	return float64(least) + float64(int64(1)<<octave-1)/2
}

func (h *histogram) add(ms, sign int64) {
	h.counts[bucketOf(ms)] += sign
	h.count += sign
	h.total += sign * ms
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.count += o.count
	h.total += o.total
}

// latency is the histogram's summary.
func (h *histogram) latency() contract.Latency {
	if h.count <= 0 {
		return contract.Latency{}
	}
	return contract.Latency{
		Count: int(h.count), P50: h.seconds(50), P95: h.seconds(95), P99: h.seconds(99), Max: h.seconds(100),
		Mean: float64(h.total) / float64(h.count) / 1000,
	}
}

// seconds is the nearest-rank percentile.
func (h *histogram) seconds(percent int64) float64 {
	rank := (h.count*percent + 99) / 100
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return middle(i) / 1000
		}
	}
	return 0
}

// histogramWire lists the buckets that hold anything: bucket, count, bucket, count.
type histogramWire struct {
	Total   int64   `json:"ms"`
	Buckets []int64 `json:"buckets"`
}

func (h *histogram) wire() histogramWire {
	w := histogramWire{Total: h.total, Buckets: []int64{}}
	for i, n := range h.counts {
		if n != 0 {
			w.Buckets = append(w.Buckets, int64(i), n)
		}
	}
	return w
}

func (h *histogram) read(w histogramWire) error {
	if len(w.Buckets)%2 != 0 {
		return fmt.Errorf("%d numbers are not pairs of bucket and count", len(w.Buckets))
	}
	*h = histogram{total: w.Total}
	for i := 0; i < len(w.Buckets); i += 2 {
		b := w.Buckets[i]
		if b < 0 || b >= allBuckets {
			return fmt.Errorf("there is no bucket %d", b)
		}
		h.counts[b] = w.Buckets[i+1]
		h.count += w.Buckets[i+1]
	}
	return nil
}
