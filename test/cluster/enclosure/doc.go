// Package enclosure runs one program in namespaces of its own, from which nothing reaches the outside and in which
// nothing is left when it ends, however it ends.
//
// Four processes of the same binary do it, each with one duty:
//
//	outside  Run: begins the two below, passes signals on, waits, hands on the exit code
//	sweeper  outside too: waits until `outside` is gone, even by SIGKILL, and removes the control groups,
//	         the one thing that the kernel does not take away by itself
//	first    process 1 of the namespaces: dies with `outside`, and the kernel ends everything else with it;
//	         makes the mounts and the network, begins `inside`, and buries orphans
//	inside   the program that was asked for
//
//	run.go      outside
//	first.go    first
//	mount.go    what is mounted anew inside, so that nothing is written to the machine's own files
//	network.go  a network that ends at the edge of the namespace
//	cgroup.go   control groups of our own, in version 1 and version 2
//	sweep.go    sweeper
//	orphan.go   ends the run when whoever began it is gone
package enclosure
