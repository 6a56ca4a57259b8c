// Package bridge is Kubernetes in, events out: it records and says what only Kubernetes saw of a unit, and
// what was recorded but never said.
//
// The map:
//
//	options.go      what a bridge is made of, and its ports
//	bridge.go       Run: who notifies, who works, who sweeps; SayAll
//	worker.go       one unit: read, judge, record, say, until nothing is left
//	schedule.go     the keyed queue of units to look at, each by one worker at a time
//	claims.go       which claims are this bridge's and still have something to do
//	judge.go        the pure function: (Kubernetes Job, Pods, claim, now) to facts and record changes
//	closing.go      how an open claim is closed, and what a closed one still has to say
//	attempt.go      what is said of each attempt
//	unit.go         when a unit was made, and what its pods keep from others
//	fate.go         what became of one pod
//	reason.go       Kubernetes' many words to the closed set of reasons
//	job.go          the conditions of a Kubernetes Job, in any order
//	termination.go  the processor's last word, in its termination message
//	moment.go       Kubernetes' whole seconds as times of events
//	gap.go          what the stream lost, the claims say again
//	lead.go         one of several judges and says; the others watch and stand by
//	identity.go     which cluster a name stands for, so that no other is judged
//	inventory.go    the Kubernetes Jobs there are, told of for audits
//	scaling.go      Kubernetes Events of units and ScaledJobs, mirrored
//	sight.go        the pure function: a queue's ScaledJob and units to what they wait for
//	keda.go         what the doctor is told of KEDA
//	look.go         what is seen of each queue, kept where those who explain find it
//	kube/           the ports on a cluster, over client-go; nobody but cmd/bridge links it
//
// It reacts to state, never to an edge: whatever it missed, the next look at the same objects and the same
// claim gives the same facts under the same ids. So a restart that lists everything again is a no-op
// downstream. The record comes first, then the word: a claim is closed by compare-and-set before its
// outcome is said, and is marked said only after the stream has acknowledged it.
package bridge
