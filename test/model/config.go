package model

// faultKind is a thing that can go wrong, or that somebody can ask for.
type faultKind uint8

const (
	crash faultKind = iota // of a pod: exit 1
	evict
	away   // NATS or SQS is: exit 75
	zombie // Kubernetes takes a pod for gone, and it lives on
	deletesJob
	restarts   // Kubernetes starts a pod though one has succeeded
	reinit     // Kubernetes starts a pod's init container again
	killsAPI   // in the middle of what it does
	killsSched // likewise
	duplicates
	visibilityEnds // while the message's holder lives
	staleReceipt
	purges
	relaysEarly
	deadLetters
	expires
	natsSilent // when run wants to record its outcome
	lostAck
	overDeadline
	extraUnit
	repeats // a client sends its requeue again
	cancels
	requeues
	workFails
	workFailsForGood
	postsAgain // with its Idempotency-Key
	agesOut    // a run's record
	faultKinds
)

// plant is a fault that is put into the protocol to see the model find it.
type plant uint8

const (
	nothing        plant = iota
	saysFirst            // run says succeeded before it has recorded it
	removesBlindly       // claim removes an intent whatever its revision
	trustsOrder          // the fold takes the last event for the truth
	noDedupe             // claim does not look whose the run is
)

// config is one world to explore.
type config struct {
	name    string
	jobs    int
	units   int
	backoff int  // failures before the last
	foreign bool // job A comes past the api
	reruns  bool // the scheduler runs again what failed
	budget  [faultKinds]uint8
	planted plant
	most    int // states
}

func (c *config) isForeign(r run) bool { return c.foreign && r == 0 }

// maxRelays bounds how often the relay finds a run that waits for too long: more would be for ever.
const maxRelays = 3

// machine is the protocol in this world.
func (c *config) machine() *machine[state] {
	begin := state{budget: c.budget, relays: maxRelays}
	for j := range c.jobs {
		if c.foreign && j == 0 {
			begin.messages[0] = message{firstRun(j), visible}
		} else {
			begin.posting[j] = 1
		}
	}
	return &machine[state]{
		begin: begin,
		next: func(s *state, steps []step[state]) []step[state] {
			t := turn{c: c, was: s, steps: steps}
			t.all()
			return t.steps
		},
		never: orphaned,
		rest:  func(s *state) string { t := turn{c: c, was: s}; return t.atRest() },
	}
}
