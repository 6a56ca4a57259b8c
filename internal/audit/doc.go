// Package audit holds the ledger to what it is the ledger of: to a replay of the stream, byte for byte; to what
// SQS counts; to claims, and to Kubernetes Jobs. Whatever does not fit is named, with what to do.
//
// It looks twice. A look over everything only suspects: it reads the world while it moves, so what it sees is
// of no one moment. A suspect is then judged alone, by evidence that is read in an order in which what is under
// way cannot look like what is wrong, and is named when it was judged alike for as long as its kind of evidence
// may lag. So a busy system is clean, and what is wrong stays wrong long enough to be named.
//
//	options.go    the ports, and what may be chosen
//	audit.go      Auditor: New, Run, Round
//	look.go       one look over everything, which suspects
//	moving.go     what changed while it was looked at
//	evidence.go   all that is known of one job
//	trim.go       what the stream can no longer tell
//	judge.go      what of it does not fit: pure
//	books.go      stats, books and windows against the replay
//	messages.go   what the ledger holds as queued against what SQS counts
//	claims.go     records of runs and units, as far as a look remembers them
//	units.go      Kubernetes Jobs, as bridges tell of them
//	mark.go       the stream is the one that was audited before
//	suspects.go   what is suspected, and since when
package audit
