// Package localkube is the part of KEDA and of Kubernetes on one machine, with no cluster: it asks a queue
// for its depth, makes units as KEDA does, and runs the processor as child processes as Kubernetes runs
// containers. It keeps Kubernetes Jobs and pods as the very objects of the Kubernetes API, with the states
// that Kubernetes would give them, so the bridge reads one kind of object in both worlds.
//
// The map:
//
//	options.go    what it is made of
//	kube.go       Kube: New (loads what was), Run, Wake
//	scale.go      KEDA: from the queue's depth to how many units are to be made; history
//	scaledjob.go  what KEDA would say of each queue
//	unit.go       one unit: the Kubernetes Job controller, a goroutine for each
//	policy.go     the pure part of it: pod failure policy, back-off, when a Kubernetes Job is over
//	job.go        a Kubernetes Job and its conditions
//	pod.go        a pod and its states
//	attempt.go    running one pod: claim, then run, and how it is stopped
//	container.go  one child process: environment, output, exit
//	process_*.go  what differs between systems: death with the parent, start times, stragglers
//	forker.go     the one thread from which children are started
//	log.go        a pod's output, bounded
//	silence.go    a processor that takes no job: who is told, and how seldom it is tried
//	store.go      one file for each unit, written whole or not at all
//	watch.go      what the bridge asks: Unit and Watch
//	act.go        what users and tests do: DeleteJob, DeletePod, Evict
//
// It is safe against kill -9 of its process: children die with it, and what a restart finds half done is
// disrupted, as on a node that went away, and tried again. It does not sync its files, so a power cut may
// take its last moments.
package localkube
