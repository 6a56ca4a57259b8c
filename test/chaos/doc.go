// Package chaos lets a random but seeded plan of faults loose on the real programs under a random load, and
// holds what became of every job to what its client was told. `make chaos SEEDS=200` runs many seeds,
// `make chaos SEED=n` one of them again; the plan of a seed that failed is printed with what was wrong. ONLY= makes
// plans of some faults alone, called as a printed plan calls them: `make chaos ONLY='mute pods>nats,pause aggregator'`.
//
// A test that cannot fail shows nothing: `make planted` puts the faults that test/model plants in the protocol's model
// into copies of the code, builds them, and looks for each under faults of some kinds. On two cores that takes ten
// minutes, and ten more where what the processor depends on was not built for it yet. Most plants are found by the
// first four seeds, "no fence" by some more. PLANT='no fence' looks for one alone.
//
// The map, all of it tests and all of it Linux's own (signals, resource limits, the whole of 127/8):
//
//	chaos_linux_test.go    the seeds
//	plan_linux_test.go     a seed's faults: what, whom, when, how long
//	load_linux_test.go     a seed's clients: what they ask for, and what they are told
//	oracle_linux_test.go   what must have become of it; it knows nothing of how Tallyman works
//	world_linux_test.go    the programs of one seed, joined
//	process_linux_test.go  one program: how it is started, paused, killed, and started again
//	part_linux_test.go     the programs that this binary is itself: NATS, SQS, and Kubernetes with the bridge
//	pairs_linux_test.go    two of each, one of them killed after the other
//	lease_linux_test.go    the Leases by which bridges lead
//	audit_linux_test.go    what Tallyman's own audit must say of it: nothing
//	gap_linux_test.go      a sequence that was never written
//	trim_linux_test.go     the stream, cut as its limits cut it
//	clock_linux_amd64_test.go  the clock of a program, which may be stepped
//	plants_linux_test.go   the faults that are planted in copies of the code
//	planted_linux_test.go  how they are planted, built, and searched for
//	link_linux_test.go     the wire between two programs, which may be slow, lossy or cut
//	orphan_linux_test.go   a request that comes late, when who sent it has died
//
// Two worlds share nothing: each has an address of its own on the loopback, and a folder of its own.
package chaos
