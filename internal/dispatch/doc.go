// Package dispatch makes runs and ends unclaimed ones: what api and scheduler must do in exactly the same
// order, because the order is what the model of sections 6 and 7 of the design was explored with. The
// record first, then the word: a step that crashed is done again under the same names, harmlessly.
//
//	dispatch.go   the ports, the options, New
//	submit.go     a run: `submitted`, the task to SQS, `queued`; and the task once more
//	keyed.go      a run that may exist already, though the ledger does not know it
//	successor.go  run+1: `next` in the run record, set or followed
//	cancel.go     a tombstone for a run nobody owns; a request to the unit that owns it, or none
//	fail.go       a tombstone for a run that no processor could take
//	record.go     compare-and-set on a run's and a unit's record, with a limit
//
// It decides by the records alone. What only the ledger knows (that a run has ended) its caller hands in.
package dispatch
