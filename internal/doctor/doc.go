// Package doctor finds out of everything that a process depends on whether it is as it must be: each dependency,
// right, setting, version and lag in a line, with what to do where it is not.
//
// Every process examines itself, with its own rights, and tells what it found in the bucket "audit"; so one
// question to the api shows all of them, and a process that is silent is a line too.
//
//	checkup.go   one process: its checks, and telling what they found
//	diagnose.go  all processes: what they told, and who did not
//	streams.go   NATS: the server, its clock, every stream and bucket
//	queues.go    SQS: every queue as configured
//	ledger.go    how far the books are behind, and what the last audit found
package doctor
