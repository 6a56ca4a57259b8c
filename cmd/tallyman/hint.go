//go:build !image

package main

import (
	"fmt"
	"io"
	"strings"

	"tallyman/contract"
	"tallyman/internal/dev"
)

// noPayload stands where only the writer of a program knows what it takes.
const noPayload = "{}"

// hints are the lines that differ with what a configuration has; each names what is there.
type hints struct {
	post   string // body of POST /jobs
	submit string // words behind `tallyman submit`
	queue  string // that a message without an envelope is sent to
	body   string // of that message
	blank  bool   // a payload among them is only a stand-in
}

// hintsFor takes what `tallyman dev` has by itself where the configuration has it, too, in the queue that a post goes
// to which names none; else the first type that there is.
func hintsFor(c *contract.Config) hints {
	q := c.Queue(contract.DefaultQueue)
	if q == nil {
		q = &c.Queues[0]
	}
	first := &q.Types[0]
	h := hints{
		post:   fmt.Sprintf(`{"type":%q,"queue":%q,"payload":%s}`, first.Name, q.Name, trial(first)),
		submit: fmt.Sprintf("%s --queue %s --payload '%s' --wait", first.Name, q.Name, trial(first)),
		queue:  q.Name,
		body:   trial(q.Type(q.DefaultType)),
	}
	if t := q.Type("probe"); builtin(t) {
		h.post = `{"type":"probe","payload":` + trial(t) + `}`
	}
	if t := q.Type(contract.DefaultJobType); builtin(t) {
		h.submit = "--wait --payload '" + trial(t) + "'"
	}
	for _, s := range []string{h.post, h.submit, h.body} {
		h.blank = h.blank || strings.Contains(s, noPayload)
	}
	return h
}

// builtin tells a type of the processor's own from somebody's program with the same name.
func builtin(t *contract.JobType) bool { return t != nil && len(t.Command) == 0 }

// trial is a payload with which a job of the type ends well.
func trial(t *contract.JobType) string {
	if !builtin(t) {
		return noPayload
	}
	switch t.Name {
	case "probe":
		return `{"target":"127.0.0.1","duration":"3"}`
	case contract.DefaultJobType:
		return `{"records":1000,"failureRate":0}`
	case produceType:
		return `{"type":"sale_event","store_id":7,"ts":"2026-01-01T00:00:00Z"}`
	}
	return noPayload
}

// tellNext prints what to try, ready to be pasted; where only its writer knows what a program takes, it says so.
func tellNext(out io.Writer, a dev.Addresses, c *contract.Config) {
	server := ""
	if a.API != defaultServer {
		server = " --server " + a.API
	}
	h := hintsFor(c)
	fmt.Fprintf(out, `
try next:
  curl -X POST %[1]s/jobs -d '%[6]s' -H 'Content-Type: application/json'
  bin/tallyman submit %[7]s%[2]s
  AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws sqs send-message \
    --endpoint-url %[3]s --queue-url %[4]s --message-body '%[8]s'
  nats --server %[5]s sub 'jobs.events.>'
  curl %[1]s/jobs/stats
`, a.API, server, a.SQS, a.Queues[h.queue], a.NATS, h.post, h.submit, h.body)
	if h.blank {
		fmt.Fprintf(out, "where it says %s, put what your program takes\n", noPayload)
	}
	fmt.Fprintf(out, "the api is described at %s/docs; Ctrl-C ends all of it, and everything is still there next time\n", a.API)
}
