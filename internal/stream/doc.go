// Package stream is the only door to NATS. It knows connections, the streams EVENTS and SCALING, buckets and leases;
// it knows nothing of what an event means.
//
//	stream.go    connecting, and being ready
//	settings.go  every stream and bucket with its settings: made, or checked and named when wrong
//	events.go    publishing an event with an ack, following all of them in order, reading one
//	reading.go   a consumer and its pulls
//	page.go      reading a part of the log, with no consumer
//	scaling.go   mirrored Kubernetes Events: said once, read since a moment
//	bucket.go    keys, compare-and-set, watching
//	commit.go    many keys in one atomic batch, fenced by the revision of the last
//	lease.go     one leader among several; saves work, never guards correctness
//	examine.go   how the server and every stream and bucket are, for those who check
//	refusal.go   what the server refuses, which otherwise looks like silence
//	error.go     the errors that callers branch on
package stream
