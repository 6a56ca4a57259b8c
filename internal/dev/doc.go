// Package dev is the whole pipeline in one process, on real parts: NATS, SQS on SQLite, and the stand-in
// for KEDA and Kubernetes, with api, scheduler, bridge and aggregator just as they run on a cluster. It
// serves `tallyman dev`, the pipeline's tests and the benchmarks. Only addresses and credentials differ
// from a cluster; nothing in the parts knows that it is here.
//
//	pipeline.go   joins the parts, in the order in which they need one another
//	folder.go     the data folder: one process at a time, and where everything in it is
//	addresses.go  the addresses in use, for people and programs
package dev
