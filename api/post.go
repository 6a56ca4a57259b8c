package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"tallyman/contract"
)

// post is what a client asks for; a schedule asks for the same, again and again.
type post struct {
	queue, jobType string
	payload        json.RawMessage
	tags           []string
	delay          time.Duration
	timeoutSeconds int
}

// readPost reads the body of one submission; none at all is a process-data job.
func readPost(body []byte) (post, error) {
	if body == nil {
		body = []byte("{}")
	}
	f, err := openForm(body)
	if err != nil {
		return post{}, err
	}
	p := readWork(f)
	p.delay = time.Duration(f.integer("delaySeconds", 0, contract.MaxDelaySeconds)) * time.Second
	return p, f.done()
}

// readWork reads the fields that a post and a schedule share.
func readWork(f *form) post {
	p := post{queue: f.token("queue"), jobType: f.token("type"), tags: f.tags()}
	p.timeoutSeconds = f.integer("timeoutSeconds", 1, contract.MaxTimeoutSecs)
	payload, ok := f.raw("payload")
	if !ok {
		payload = json.RawMessage("{}")
	}
	if at := bytes.IndexFunc(payload, untaken); at >= 0 {
		c, _ := utf8.DecodeRune(payload[at:])
		f.fail(contract.CodeInvalidValue, "payload", `has the character %U at byte %d, which no message of SQS may hold; write it as \u%04x`, c, at, c)
	}
	p.payload = payload
	return p
}

// untaken are the two characters that JSON allows and SQS does not take; a job with one could never be sent. All other
// texts of a task are plain ASCII.
func untaken(c rune) bool { return c == 0xFFFE || c == 0xFFFF }

// settle fills in the queue and the type, and holds the payload to the type's schema.
func (s *Server) settle(p *post) error {
	if p.queue == "" {
		p.queue = s.defaultQueue()
	}
	q := s.config.Queue(p.queue)
	if q == nil {
		return contract.Errorf(contract.CodeUnknownQueue, "queue", "there is no queue %q; there are %s", p.queue, s.queueNames())
	}
	if p.jobType == "" {
		p.jobType = defaultType(q)
	}
	if q.Type(p.jobType) == nil {
		return contract.Errorf(contract.CodeUnknownType, "type", "queue %s has no type %q; it has %s", q.Name, p.jobType, typeNames(q))
	}
	if schema := s.schemas[schemaKey(p.queue, p.jobType)]; schema != nil {
		return schema.check(p.payload)
	}
	return nil
}

// defaultQueue is where a post goes that names none: `default`, or the first of the configuration.
func (s *Server) defaultQueue() string {
	if s.config.Queue(contract.DefaultQueue) != nil {
		return contract.DefaultQueue
	}
	return s.config.Queues[0].Name
}

// defaultType is what a post is that names none: process-data, or the queue's own default.
func defaultType(q *contract.Queue) string {
	if q.Type(contract.DefaultJobType) != nil {
		return contract.DefaultJobType
	}
	return q.DefaultType
}

func (s *Server) queueNames() string {
	names := make([]string, 0, len(s.config.Queues))
	for _, q := range s.config.Queues {
		names = append(names, q.Name)
	}
	return strings.Join(names, ", ")
}

func typeNames(q *contract.Queue) string {
	names := make([]string, 0, len(q.Types))
	for _, t := range q.Types {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// task makes the first run of the job that p asks for.
func (p *post) task(jobID, submitter string, now time.Time) contract.Task {
	t := contract.Task{
		JobID: jobID, Run: 1, Type: p.jobType, Queue: p.queue, Payload: p.payload, SubmittedAt: contract.At(now),
		Submitter: submitter, Source: contract.FromAPI, TimeoutSeconds: p.timeoutSeconds, Tags: p.tags,
	}
	if p.delay > 0 {
		t.NotBefore = contract.At(now.Add(p.delay))
	}
	return t
}
