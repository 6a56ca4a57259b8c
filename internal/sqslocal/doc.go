// Package sqslocal is Amazon SQS on one machine: the JSON 1.0 protocol over
// HTTP, on one SQLite file, close enough to the real service that the AWS CLI,
// the SDKs for Go and Rust and KEDA's scaler cannot tell. It knows standard
// queues and nothing of Tallyman.
//
// A request goes down through these files and its answer comes up again:
//
//	server      Options, New, Run: the port, and how it drains
//	protocol    HTTP and JSON in, HTTP and JSON out; operations is the table of names
//	queues tags send receive delete visibility batch
//	            one operation each: check the input, work in a transaction, build the answer
//	attributes redrive message receipt address errors limits
//	            what AWS says of each of these words
//	queue messages poll
//	            what a transaction can do to queues, to messages and to those who wait
//	store schema
//	            one goroutine that owns the database
//	faults      what tests can make go wrong
//
// # What it promises
//
// An answer is given after the commit that holds it. The file's log is written
// then and synced to the disk only at checkpoints, so that nothing acknowledged
// is lost when the process dies (kill -9 included), while a power cut may take
// the last moments. With no file, everything is in memory.
//
// One goroutine does all the work. Requests that arrive while it is busy share
// the next transaction, so that a burst costs few commits and the counters that
// KEDA reads are exact, where AWS's are approximate.
//
// A long poll is served by the transaction that makes a message visible: by a
// send, by the end of a delay or of a visibility timeout, or by a release. A
// receiver that goes away before its answer is written takes nothing: what it
// was to get is visible again, its receive not counted.
//
// A receipt handle is new at each receive. Deleting needs the newest one, whose
// visibility timeout may have run out; an older one is accepted and deletes
// nothing. Changing visibility takes an older one too, as AWS does.
//
// # Where it differs from AWS
//
// FIFO queues, permissions and message move tasks are refused with
// UnsupportedOperation. Policies, keys and signatures are accepted and not
// looked at. The name of a deleted queue is free at once, where AWS waits a
// minute. Fair queues keep no tenant from another: a message group is stored
// and returned. Messages come in the order in which they became visible, which
// AWS does not promise. The older query (XML) protocol is not spoken.
//
// The package sqstest beside this one holds it, and ElasticMQ, to what AWS
// documents.
package sqslocal
