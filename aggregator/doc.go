// Package aggregator is events in, stats out: it folds the stream EVENTS into the bucket "jobs", one
// document for each job, the stats, and what needs attention.
//
// The fold is pure: a prefix of the stream gives one ledger, whoever folds it, in whatever order the
// events of a job came, and however often they were said. The bucket is a ledger at a sequence: each
// commit is one atomic batch whose last message, the checkpoint, must find its predecessor in place. So
// a crash, two leaders or an answer that was lost cost time and never a count.
//
// The fold, which reads no clock and speaks to nobody:
//
//	job.go        all that is known of one job, and how one more fact joins it
//	state.go      where that puts the job, its runs and its attempts
//	word.go       reasons and sources as small numbers, in the order that decides
//	sum.go        one job's part of the sums: f(facts), each with the moment it belongs to
//	books.go      the sums in total, and for each queue with each type
//	window.go     the same by the minute, the hour and the day
//	names.go      queues and types as small numbers
//	pack.go       a job in some sixty bytes
//	waiting.go    who waits, queue by queue
//	order.go      jobs by a time: who waits longest, who is to go
//	unit.go       facts of units, which belong to no job
//	gap.go        what the stream does not have, and was never folded
//	ledger.go     all of these together: fold(sequence, event)
//	era.go        by which rules, from which event on
//
// What others read, and what the ledger is rebuilt from:
//
//	document.go    a job as its document, and back
//	stats.go       what GET /jobs/stats answers
//	attention.go   who may have to be sent again
//	checkpoint.go  the position, and what documents cannot give back
//
// The world:
//
//	aggregator.go  the surface: Options, New, Run
//	session.go     one loading of the ledger: following and committing
//	standby.go     what others have committed meanwhile
//	inbox.go       from who reads the stream to who folds it
//	batch.go       one commit
//	load.go        the ledger from the bucket
//	days.go        the windows held to the documents, when they are loaded
//	past.go        the books as they were, from the log
package aggregator
