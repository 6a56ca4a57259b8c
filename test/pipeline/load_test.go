package pipeline

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"tallyman/contract"
)

// verdict is how one attempt must end when nobody disturbs it.
type verdict struct {
	good   bool
	final  bool            // no further attempt may follow it
	reason contract.Reason // of a bad one
}

// labour is a kind of work whose end is known beforehand.
type labour struct {
	jobType string
	payload func(*rand.Rand) string
	ends    func(payload string, attempt int) verdict
}

func fine(string, int) verdict { return verdict{good: true} }

// labours is the mixture, by name.
func labours() map[string]labour {
	return map[string]labour{
		"steady": {"process-data", say(`{"records":20,"pauseMs":0,"failureRate":0}`), fine},
		"slow":   {"process-data", say(`{"records":300,"pauseMs":100,"failureRate":0}`), fine},
		"second": {"process-data", say(`{"records":20,"pauseMs":0,"failureRate":0,"failAttempts":1}`), func(_ string, n int) verdict {
			return verdict{good: n > 1, reason: contract.AppExit}
		}},
		"panics": {"process-data", say(`{"records":20,"pauseMs":0,"failureRate":1}`), func(string, int) verdict {
			return verdict{reason: contract.Panic}
		}},
		"chance": {"process-data", func(r *rand.Rand) string {
			return fmt.Sprintf(`{"records":50,"pauseMs":0,"failureRate":0.02,"seed":%d}`, r.Uint32())
		}, seeded},
		"event": {"store-event", say(`{"store_id":1,"event_type":"sale_event","ts":"2024-05-06T07:08:09"}`), fine},
		"bad": {"store-event", say(`{"event_type":"sale_event","ts":"2024-05-06T07:08:09","bad_msg":true}`), func(string, int) verdict {
			return verdict{final: true, reason: contract.AppError}
		}},
		"marker": {"marker", say(`{}`), fine},
	}
}

func say(payload string) func(*rand.Rand) string { return func(*rand.Rand) string { return payload } }

// seeded foretells an attempt of process-data by the README's own words: SplitMix64 from the state
// mix(seed + mix(attempt)), a record fails if the upper 53 bits of its number, over 2^53, are below the rate.
func seeded(payload string, attempt int) verdict {
	var p struct {
		Records     int
		FailureRate float64
		Seed        uint64
	}
	if err := json.Unmarshal([]byte(payload), &p); err != nil {
		panic(err)
	}
	state := mix(p.Seed + mix(uint64(attempt)))
	for range p.Records {
		state += 0x9E3779B97F4A7C15
		if float64(mix(state)>>11)/(1<<53) < p.FailureRate {
			return verdict{reason: contract.Panic}
		}
	}
	return verdict{good: true}
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
