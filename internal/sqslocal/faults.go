package sqslocal

import (
	"math/rand/v2"
	"sync"
	"time"
)

// FaultKind is a way in which SQS, or the network before it, goes wrong.
type FaultKind int

// The faults that can be injected.
const (
	noFault FaultKind = iota
	// Throttle answers RequestThrottled and does nothing.
	Throttle
	// LimitExceeded answers OverLimit and does nothing.
	LimitExceeded
	// Unavailable answers 503 and does nothing.
	Unavailable
	// Broken answers 500 and does nothing.
	Broken
	// LoseResponse does the work and then cuts the connection.
	LoseResponse
	// Duplicate delivers a message more than once: a ReceiveMessage leaves it
	// visible, or a DeleteMessage that succeeded lets it come back.
	Duplicate
)

// Fault is one rule of what goes wrong.
type Fault struct {
	Kind      FaultKind
	Operation string    // such as "SendMessage"; "" is every operation (for Duplicate: receives and deletes)
	Share     float64   // of the requests, 0 to 1; for Duplicate, of the messages
	Times     int       // at most so often, 0 for no limit
	From      time.Time // by the server's clock; the zero time is always
	Until     time.Time // likewise
}

// Faults are the rules in force. They may be changed while requests run. A nil
// *Faults never does anything.
type Faults struct {
	mu      sync.Mutex
	random  *rand.Rand
	rules   []*Fault
	counted map[FaultKind]int
}

// NewFaults returns an empty set whose choices follow from the seed.
func NewFaults(seed uint64) *Faults {
	return &Faults{random: rand.New(rand.NewPCG(seed, 0)), counted: map[FaultKind]int{}}
}

// Add puts a rule in force and returns the function that takes it out again.
func (f *Faults) Add(rule Fault) (remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := &rule
	f.rules = append(f.rules, added)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, r := range f.rules {
			if r == added {
				f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
				return
			}
		}
	}
}

// Clear takes all rules out.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Count is how often a fault of the kind has happened.
func (f *Faults) Count(kind FaultKind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counted[kind]
}

// next decides what goes wrong with a request.
func (f *Faults) next(operation string, now time.Time) FaultKind {
	return f.draw(operation, now, func(k FaultKind) bool { return k != Duplicate })
}

// duplicates decides whether a message that is received or deleted comes again.
func (f *Faults) duplicates(operation string, now time.Time) bool {
	return f.draw(operation, now, func(k FaultKind) bool { return k == Duplicate }) == Duplicate
}

func (f *Faults) draw(operation string, now time.Time, wanted func(FaultKind) bool) FaultKind {
	if f == nil {
		return noFault
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rule := range f.rules {
		if wanted(rule.Kind) && rule.applies(operation, now) && f.random.Float64() < rule.Share {
			return f.happens(rule)
		}
	}
	return noFault
}

func (r *Fault) applies(operation string, now time.Time) bool {
	return (r.Operation == "" || r.Operation == operation) && r.Times >= 0 &&
		(r.From.IsZero() || !now.Before(r.From)) && (r.Until.IsZero() || now.Before(r.Until))
}

// happens counts the rule down; its last time makes Times negative, which
// applies to nothing.
func (f *Faults) happens(rule *Fault) FaultKind {
	f.counted[rule.Kind]++
	if rule.Times > 0 {
		if rule.Times--; rule.Times == 0 {
			rule.Times = -1
		}
	}
	return rule.Kind
}

// refusal is the answer that the fault gives in place of the operation's.
func (k FaultKind) refusal() error {
	switch k {
	case Throttle:
		return requestThrottled.errorf("Rate exceeded (injected).")
	case LimitExceeded:
		return overLimit.errorf("The limit is exceeded (injected).")
	case Unavailable:
		return serviceUnavailable.errorf("The service is unavailable (injected).")
	case Broken:
		return kind{coralSpace + "InternalFailure", "InternalFailure", 500, receiverFault}.errorf("An internal failure (injected).")
	default:
		return nil
	}
}
