package contract

import (
	"encoding/json"
	"fmt"
	"math/bits"
)

// Stage is a part of a run's life that is timed.
type Stage int

// The stages, in the order of a life. Boot, Start and Work are parts of an attempt, the others of a run.
const (
	StageQueue   Stage = iota // submitted to queued
	StageUnit                 // queued to the unit being made; a unit that stood already took no time
	StageBoot                 // the unit made to the first claim
	StageClaim                // queued to the first claim: the two before, also where nobody said when the unit was made
	StageStart                // claimed to started, each attempt
	StageWork                 // started to ended, each attempt
	StageOverall              // submitted to the run's end
	Stages
)

// stageNames is never written to.
var stageNames = [Stages]string{"queue", "unit", "boot", "claim", "start", "work", "overall"}

func (s Stage) String() string { return stageNames[s] }

// A Histogram is log-linear: below 32 ms each millisecond has its bucket, above it each octave has 16 of
// them. A bucket's middle stands for all in it, so it is at most half a width off: at most 1/32 of the value.
// Unlike a digest it can be subtracted from, and parts of it give exactly the whole.
const (
	perOctave     = 16
	maxSample     = 1<<36 - 1 // two years in milliseconds; longer counts as this
	SketchBuckets = perOctave*(36-5) + 2*perOctave
	// SketchError is the most by which a percentile differs from the true one, as a part of it.
	SketchError = 1.0 / (2 * perOctave)
)

// SketchBucket gives the bucket of a duration.
func SketchBucket(ms int64) int {
	ms = min(max(ms, 0), maxSample)
	octave := max(0, bits.Len64(uint64(ms))-5)
	return octave*perOctave + int(ms>>octave)
}

// sketchMiddle is what a bucket's values are taken for, in milliseconds.
func sketchMiddle(bucket int) float64 {
	if bucket < 2*perOctave {
		return float64(bucket)
	}
	octave := bucket/perOctave - 1
	least := int64(bucket-octave*perOctave) << octave
	return float64(least) + float64(int64(1)<<octave-1)/2
}

// Histogram counts durations, ready to be added to.
type Histogram struct {
	counts [SketchBuckets]int64
	count  int64
	total  int64 // in milliseconds, exact
}

// Add counts a duration in milliseconds sign times.
func (h *Histogram) Add(ms, sign int64) {
	h.counts[SketchBucket(ms)] += sign
	h.count += sign
	h.total += sign * ms
}

// Merge puts a sketch into h, or with sign -1 takes it out.
func (h *Histogram) Merge(s *Sketch, sign int64) {
	for i := 0; i+1 < len(s.Buckets); i += 2 {
		n := sign * s.Buckets[i+1]
		h.counts[s.Buckets[i]] += n
		h.count += n
	}
	h.total += sign * s.Total
}

// Latency is the histogram's summary.
func (h *Histogram) Latency() Latency {
	if h.count <= 0 {
		return Latency{}
	}
	return Latency{
		Count: int(h.count), P50: h.seconds(50), P95: h.seconds(95), P99: h.seconds(99), Max: h.seconds(100),
		Mean: float64(h.total) / float64(h.count) / 1000,
	}
}

// seconds is the nearest-rank percentile.
func (h *Histogram) seconds(percent int64) float64 {
	rank := (h.count*percent + 99) / 100
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return sketchMiddle(i) / 1000
		}
	}
	return 0
}

// Sketch is the histogram with its empty buckets left out.
func (h *Histogram) Sketch() Sketch {
	s := Sketch{Total: h.total}
	for i, n := range h.counts {
		if n != 0 {
			s.Buckets = append(s.Buckets, int64(i), n)
		}
	}
	return s
}

// Sketch lists the buckets of a histogram that hold anything: bucket, count, bucket, count.
type Sketch struct {
	Total   int64   `json:"ms"`
	Buckets []int64 `json:"buckets"`
}

func (s *Sketch) check() error {
	if len(s.Buckets)%2 != 0 {
		return fmt.Errorf("sketch: %d numbers are not pairs of bucket and count", len(s.Buckets))
	}
	for i := 0; i < len(s.Buckets); i += 2 {
		if b := s.Buckets[i]; b < 0 || b >= SketchBuckets {
			return fmt.Errorf("sketch: there is no bucket %d", b)
		}
	}
	return nil
}

// Sketches is a sketch for each stage; as JSON an object of those that hold anything.
type Sketches [Stages]Sketch

// MarshalJSON names the stages that hold anything, in their order.
func (s Sketches) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i := range s {
		if len(s[i].Buckets) == 0 && s[i].Total == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		value, err := json.Marshal(&s[i])
		if err != nil {
			return nil, err
		}
		b = append(fmt.Appendf(b, `"%s":`, stageNames[i]), value...)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON refuses a stage or a bucket that it does not know.
func (s *Sketches) UnmarshalJSON(b []byte) error {
	var named map[string]Sketch
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	*s = Sketches{}
	for i, name := range stageNames {
		s[i] = named[name]
		delete(named, name)
		if err := s[i].check(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name := range named {
		return fmt.Errorf("there is no stage %q", CutText(name, MaxToken))
	}
	return nil
}
