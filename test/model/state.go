package model

import "fmt"

// How large a world can be.
const (
	maxJobs     = 2
	runsOfJob   = 3
	maxRuns     = maxJobs * runsOfJob
	maxUnits    = 3
	podsOfUnit  = 3
	maxMessages = 4
)

// run is one run of one job, by number.
type run uint8

func (r run) job() int       { return int(r) / runsOfJob }
func (r run) number() int    { return int(r)%runsOfJob + 1 }
func (r run) String() string { return fmt.Sprintf("%c/%d", 'A'+r.job(), r.number()) }
func firstRun(job int) run   { return run(job * runsOfJob) }

// place is where a processor is: at a test point, and about to do what follows it.
type place uint8

const (
	ended place = iota
	c1
	c2
	c3
	cF
	c4
	c4d
	c4r
	c4s
	c5d
	c5m
	c5s
	cC
	cC2
	r0
	r1
	r2
	rS
	rS2
	rS3
	rF
	rP
	rP2
	rP3
	rP4
	rC
)

var placeNames = [...]string{
	"ended", "c1", "c2", "c3", "cF", "c4", "c4d", "c4r", "c4s", "c5d", "c5m", "c5s", "cC", "cC2",
	"r0", "r1", "r2", "rS", "rS2", "rS3", "rF", "rP", "rP2", "rP3", "rP4", "rC",
}

// fate is what Kubernetes sees of a pod.
type fate uint8

const (
	noPod fate = iota
	alive
	exit0
	exit1
	exit65
	exit75
	exit86
	disrupted
	podGone
)

// pod is one pod, and the processor in it.
type pod struct {
	at      place
	fate    fate
	message uint8 // that it holds
	attempt uint8 // 0: it has no number
	flags   podFlags
}

type podFlags uint8

const (
	current podFlags = 1 << iota // nobody has written the unit's record since this pod read it
	undead                       // Kubernetes takes it for gone, and it lives
	barred                       // the run had ended when it was numbered: it must not start work
	spoken                       // its termination message says how its work ended
)

// jobState is a Kubernetes Job's.
type jobState uint8

const (
	noJob jobState = iota
	active
	failing // FailureTarget
	complete
	failed
	jobGone
)

type recordState uint8

const (
	noRecord recordState = iota
	intent
	owned
	closed
)

type outcome uint8

const (
	noOutcome outcome = iota
	succeeded
	hasFailed
	cancelled
)

var outcomeNames = [...]string{"none", "succeeded", "failed", "cancelled"}

// unit is one Kubernetes Job with its pods, and its record in the bucket `claims`.
type unit struct {
	job  jobState
	pods [podsOfUnit]pod
	// The record.
	record       recordState
	task         uint8 // the message that its task was on
	attempts     uint8
	cancelAsked  bool
	outcome      outcome
	outcomeOf    uint8 // the attempt
	said         bool
	lost         bool // Kubernetes lost it, no work said so
	workFinished bool // not in the record: some attempt's work succeeded
}

// owner is what a run's record says of who has it.
type owner uint8

const (
	nobody         owner = iota // there is no record
	cancelledStone              // tombstones
	failedStone
	plainStone // of a run whose record had aged out
	firstUnit  // and on
)

func ownerOf(u int) owner { return firstUnit + owner(u) }

// unit is the unit that owns the run, -1 where none does.
func (o owner) unit() int { return int(o) - int(firstUnit) }

type successor uint8

const (
	unset  successor = iota
	none             // there shall be none
	isNext           // run+1
)

type runRecord struct {
	owner owner
	next  successor
}

type messageState uint8

const (
	noMessage messageState = iota
	visible
	hidden
	deleted
	dead // on the dead-letter queue
)

type message struct {
	run   run
	state messageState
}

// actor is one thing that api or scheduler is at: how far, and with what.
type actor struct {
	at, of uint8
}

// state is everything.
type state struct {
	events   [maxRuns]facts
	units    [maxUnits]unit
	messages [maxMessages]message
	runs     [maxRuns]runRecord

	posting   [maxJobs]uint8
	canceller actor // of: a run
	requeuer  actor
	rerunner  actor
	relay     actor
	expiry    actor
	sweeper   actor // of: a message

	budget [faultKinds]uint8
	relays uint8 // how often the relay may still find something

	// What only we can see.
	worker    [maxRuns]uint8             // the unit whose pod started work, plus one
	outcomes  [maxRuns]outcome           // as recorded
	numbered  [maxRuns][podsOfUnit]uint8 // the pod that has the attempt, plus one
	requeued  uint8                      // how many requeues users have asked for
	requeueOf run                        // and of which run, for its repeat
	arrived   [maxJobs]phase             // what a fold that trusts the order would say
}

// send puts a run's task on the queue; false where this world has no message left.
func (s *state) send(r run) bool {
	for i := range s.messages {
		if s.messages[i].state == noMessage {
			s.messages[i] = message{r, visible}
			return true
		}
	}
	return false
}

// written says that the record of a unit was written: whoever read it before holds an old revision.
func (s *state) written(u int) {
	for p := range s.units[u].pods {
		s.units[u].pods[p].flags &^= current
	}
}

// remove deletes a unit's record.
func (s *state) remove(u int) {
	x := &s.units[u]
	x.record, x.task, x.attempts, x.cancelAsked, x.outcome, x.outcomeOf, x.said, x.lost = 0, 0, 0, false, 0, 0, false, false
	s.written(u)
}

// close records an outcome.
func (s *state) close(u int, o outcome, attempt uint8) {
	x := &s.units[u]
	x.record, x.outcome, x.outcomeOf, x.said = closed, o, attempt, false
	s.outcomes[s.messages[x.task].run] = o
	s.written(u)
}

// taskOf is the run that a unit's record is of.
func (s *state) taskOf(u int) run { return s.messages[s.units[u].task].run }

// waiting tells whether a run's message is on the queue, hidden or not.
func (s *state) waiting(r run) bool {
	for i := range s.messages {
		if m := s.messages[i]; m.run == r && (m.state == visible || m.state == hidden) {
			return true
		}
	}
	return false
}
