// Package queue is the only door to SQS. It sends tasks, counts what waits, and reads dead-letter queues;
// receiving tasks to run them is the processor's, in Rust.
//
//	queue.go    opening a client, and three errors that callers branch on
//	send.go     sending: concurrent senders share SendMessageBatch
//	receive.go  receiving and deleting, for the dead-letter sweep
//	counts.go   what SQS says of a queue: its counters and settings
package queue
