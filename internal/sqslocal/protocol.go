package sqslocal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	targetPrefix = "AmazonSQS."
	contentType  = "application/x-amz-json-1.0"
)

// call is one request on its way through an operation.
type call struct {
	*store
	ctx   context.Context
	host  string // how the client reached us: queue URLs in answers use it
	trace string // X-Ray header, which a sent message carries on
	// undo takes back what an answer hands over, for a client that went away
	// before it could be written.
	undo func()
}

// operation decodes its input, does its work and returns its output.
type operation func(c *call, body []byte) (any, error)

// takes makes an operation of a function on decoded input.
func takes[In, Out any](work func(*call, *In) (Out, error)) operation {
	return func(c *call, body []byte) (any, error) {
		in := new(In)
		if err := decode(body, in); err != nil {
			return nil, err
		}
		return work(c, in)
	}
}

func decode(body []byte, in any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if !utf8.Valid(body) {
		return serialization.errorf("The request body is not UTF-8.")
	}
	if err := json.Unmarshal(body, in); err != nil {
		return serialization.errorf("The request body is not the JSON that this operation takes: %s", clip(err.Error()))
	}
	return nil
}

// ServeHTTP answers one request of the SQS JSON 1.0 protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	if r.Method != http.MethodPost {
		s.explain(w, r)
		return
	}
	name, op, err := route(r)
	if err != nil {
		s.refuse(w, r, name, err)
		return
	}
	fault := s.store.faults.next(name, s.store.clock.Now())
	if err := fault.refusal(); err != nil {
		s.refuse(w, r, name, err)
		return
	}
	s.answer(w, r, name, op, fault == LoseResponse)
}

// answer runs the operation and writes what it returns.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, name string, op operation, lose bool) {
	body, err := readBody(w, r)
	if err != nil {
		s.refuse(w, r, name, err)
		return
	}
	c := &call{store: s.store, ctx: r.Context(), host: s.hostOf(r), trace: r.Header.Get("X-Amzn-Trace-Id"), undo: func() {}}
	out, err := op(c, body)
	switch {
	case r.Context().Err() != nil:
		c.undo()
		return
	case lose:
		panic(http.ErrAbortHandler) // the way of net/http to cut a connection
	case err != nil:
		s.refuse(w, r, name, err)
		return
	}
	if err := writeJSON(w, http.StatusOK, out); err != nil {
		c.undo()
		s.store.log.Debug("sqs answer not written", "operation", name, "error", err)
	}
}

// route finds the operation that the request asks for.
func route(r *http.Request) (string, operation, error) {
	target := r.Header.Get("X-Amz-Target")
	name, ok := strings.CutPrefix(target, targetPrefix)
	if !ok {
		return "", nil, unknownOperation.errorf("This local server speaks the JSON 1.0 protocol of SQS: POST with header X-Amz-Target: AmazonSQS.<Operation>. " +
			"The older query protocol is not served; use an AWS CLI or SDK of 2024 or later.")
	}
	if op := operations[name]; op != nil {
		return name, op, nil
	}
	if unsupported[name] {
		return name, nil, unsupportedOperation.errorf("%s is not supported by this local server yet.", name)
	}
	return "", nil, unknownOperation.errorf("SQS has no operation %q.", clip(name))
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, requestTooLarge.errorf("The request body is longer than %d bytes.", maxRequestBytes)
	case err != nil:
		return nil, serialization.errorf("The request body could not be read to its end.")
	}
	return body, nil
}

// refuse writes an error as AWS writes it. Only what is our own fault is logged.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, operation string, err error) {
	if r.Context().Err() != nil {
		return
	}
	e := asError(err)
	if e.kind.shape == internalFailure.shape {
		s.store.log.Error("sqs request not carried out", "operation", operation, "error", err)
	}
	w.Header().Set("x-amzn-query-error", e.kind.query+";"+string(e.kind.fault))
	body := struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.kind.shape, e.Message}
	if err := writeJSON(w, e.kind.status, body); err != nil {
		s.store.log.Debug("sqs error not written", "operation", operation, "error", err)
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // clients read JSON, not a page, and bodies stay shorter
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("encode %T: %w", value, err)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, err := w.Write(body.Bytes())
	return err
}

// explain is for a person with a browser.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		status = http.StatusMethodNotAllowed
		w.Header().Set("Allow", "POST, GET, HEAD")
	} else if r.URL.Path != "/" {
		status = http.StatusNotFound
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	base := "http://" + s.hostOf(r)
	fmt.Fprintf(w, "This is Tallyman's local SQS. It is spoken to with POST, by the AWS CLI or an SDK, with any credentials:\n\n"+
		"  aws --endpoint-url %s sqs list-queues\n\nA queue's URL is %s\n", base, s.store.address.url(s.hostOf(r), "<queue>"))
}
