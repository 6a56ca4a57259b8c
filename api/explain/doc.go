// Package explain says where a job is, what it waits for and what a person can do. It is pure: facts in,
// explanation out. Who gathers the facts is api/explain.go.
//
//	facts.go      what there is to judge by; any part of it may be missing
//	explain.go    Explain: the first situation that holds, and the evidence
//	situation.go  the table of situations of a job that has not ended
//	blocked.go    those of it in which a pod cannot begin
//	ended.go      the table of situations of one that has
//	rerun.go      one that has failed and gets another run by itself
//	evidence.go   what each source says, with its age
//	words.go      counts, ages and moments in plain words
package explain
