// Package contract holds the words on the wire: what a task, an event, a claim, a job document, the
// stats and the configuration look like, what everything is called, and the closed sets of error codes
// and failure reasons. The Rust processor has the same words in src/contract.rs; the two are held
// together by testdata/, a directory of raw bytes that both test suites enumerate. schema/ describes every
// document to people, and is held to the same bytes.
//
// The map:
//
//	task.go      the message on SQS that carries a run
//	event.go     one fact in a job's life, a CloudEvent on the stream
//	claim.go     the two records of the claim: a unit's and a run's
//	scaling.go   a Kubernetes Event of a unit or of a ScaledJob, mirrored: it tells why
//	sight.go     what a bridge sees of a queue in Kubernetes now
//	job.go       the job document that the aggregator keeps
//	stats.go     what events add up to, as people read it
//	book.go      what one queue's jobs of one type add up to, in all or in one window of time
//	audit.go     what does not fit when the books are held to the world; Kubernetes Jobs as a bridge tells of them
//	checkup.go   what a process finds of all that it depends on
//	sums.go      counts that add up
//	sketch.go    durations that add up, and percentiles with a stated error
//	explanation.go  where a job is, what it waits for, on what evidence
//	schedule.go  a rule that makes jobs in time
//	config.go    queues and job types, one shape for `tallyman dev` and the chart
//	rerun.go     the run that a failed job gets by itself
//	webhook.go   who is told of events, and how far each has come
//	signature.go that a delivery is ours
//	names.go     every subject, stream, bucket, key and header; nothing else formats one
//	id.go        job ids: UUIDv7, or derived by a hash so that a repeat is the same job
//	reason.go    why an attempt ended badly: a closed set, in order
//	error.go     what can be wrong with bytes or a request: a closed set of codes
//	encode.go    writing JSON that object.go reads
//	object.go    the fields of one JSON object, found once
//	field.go     decoding a field as Go and Rust agree on, byte for byte
//	scan.go      one walk over JSON that checks it and finds where values end
//	time.go      timestamps with exactly one spelling
//
// It imports only the standard library, and everything else imports it.
package contract
