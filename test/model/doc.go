// Package model explores the protocol by which a job is submitted, claimed, run, retried, cancelled, requeued
// and counted: every order in which its steps can happen, with the faults that a configuration allows,
// breadth first, so that what goes wrong is told by the fewest steps that lead to it. It is what sections 6, 7
// and 9 of the design rest on: change the protocol and the model together.
//
// There are two models. The protocol's covers api, scheduler, SQS, KEDA, Kubernetes, claim, run and bridge, and
// the fold over what they say. The books' covers two aggregators that write them, with checkpoint and fence.
//
//	explore.go     breadth first over any model
//	state.go       the protocol's state: records, messages, pods, events, and what only we can see
//	turn.go        the steps that are possible in a state
//	config.go      how large a world is, how many faults of each kind it has, which fault is planted in it
//	client.go      posts, cancels, purges and requeues, as api and internal/dispatch carry them out
//	scheduler.go   what is sent again, swept, expired, or run once more
//	world.go       SQS, KEDA, Kubernetes
//	bridge.go      what Kubernetes knows, recorded and said
//	claim.go       rust-processor/src/claim.rs, from test point to test point
//	run.go         run.rs and closing.rs, likewise
//	fold.go        what was said, added up
//	rules.go       what must never be, and what must be at rest
//	configs.go     the configurations that are explored
//	books.go       the books' model
//
// A step of our own programs is called as the code calls it: a test point of the processor, or a Go function
// with its folder; a test holds both to the source. A step of the world is called by whoever does it.
//
// The short configurations take seconds together, in `make test`. The long ones, `make model`, meet 40 million
// states one configuration after the other, a million in four to six seconds of one processor, and about 4 GB at the
// most. The dearest are, in millions of states: rerun+ 7.4, overlap+ 6.8, overlap, cancel+ 6.1, foreign+ 4.1, two
// jobs, overlap+ 3.6, claim+ 3.1, relay+ 2.6, overlap, job deleted+ 1.9; every other one has less than a million.
//
// Not modelled: rejected messages, the 33rd attempt, loss of NATS' data, schedules. A pod that Kubernetes takes
// for gone, and that ends its work all the same, is recorded as lost: no protocol can have that otherwise.
package model
