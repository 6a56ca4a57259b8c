// Package api is HTTP in, HTTP out: the description in openapi.yaml was written first, and a test holds
// every operation and status to it. It publishes and sends through internal/dispatch, and reads from
// memory: one watch of the bucket "jobs" and one consumer of the events for the whole process, never one
// for each client.
//
//	options.go    what it is given, and the ports it calls
//	server.go     New, Run, the routes
//	request.go    what surrounds every request: its id, the token, the log line, panics
//	problem.go    errors as problem documents (RFC 9457)
//	body.go       reading JSON bodies, every fault named
//	post.go       a post becomes a task; payload.go holds it to the type's schema
//	submit.go     POST /jobs and /jobs/batch
//	ledger.go     the books in memory: stats and documents; bells.go tells who waits for a change
//	rendering.go  one answer for all who follow the stats
//	index.go      the documents in a disposable SQLite file
//	page.go       GET /jobs
//	job.go        GET /jobs/{jobId}: the document and the words that were said (words.go)
//	cancel.go     DELETE /jobs/{jobId}; requeue.go: one more run; rerun.go: the one that comes by itself
//	purge.go      POST /queues/{queue}/purge: cancels all that waits
//	explain.go    GET /jobs/{jobId}/explain: facts from every source at once; explain/ judges them
//	history.go    a job's events and logs
//	follow.go     GET /jobs/events, over internal/feed; life.go: the events of one job, until it has ended
//	sse.go        writing Server-Sent Events, and leaving in time
//	progress.go   what running jobs said last
//	lru.go        what was used last, within a budget of bytes
//	webhook.go    who is told of events, how far each has come, and from where it is to go on
//	stats.go      GET /jobs/stats, for all jobs or a part, once or live; books.go: what it adds up; past.go: as it was
//	audit.go      GET and POST /audit; doctor.go: GET /doctor
//	schedule.go   schedules; health.go: what its name says
//	docs.go       /openapi.yaml and /docs
package api
