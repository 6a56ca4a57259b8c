package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// problem is an error as RFC 9457 writes it.
type problem struct {
	Type      string        `json:"type"`
	Title     string        `json:"title"`
	Status    int           `json:"status"`
	Detail    string        `json:"detail"`
	Code      contract.Code `json:"code"`
	Field     string        `json:"field,omitempty"`
	RequestID string        `json:"requestId"`
	Errors    []fault       `json:"errors,omitempty"`
}

// fault is one thing that is wrong with a request. Pointer leads into its body, where it is there.
type fault struct {
	Code    contract.Code `json:"code"`
	Field   string        `json:"field,omitempty"`
	Pointer string        `json:"pointer,omitempty"`
	Detail  string        `json:"detail"`
}

// faults is every fault of a request at once, so that a caller need not find them one by one.
type faults []fault

// Limits of what one answer says is wrong. A batch answers for up to 1000 posts at once.
const (
	maxFaults      = 100
	maxBatchFaults = 10      // of one of its posts
	maxDetail      = 4 << 10 // of all faults in one sentence
)

// add takes one more, up to what an answer lists: a hostile body could else have us hold many times its size.
func (f *faults) add(one fault) {
	if len(*f) < maxFaults {
		*f = append(*f, one)
	}
}

func (f faults) Error() string {
	lines := make([]string, 0, len(f))
	for _, one := range f {
		lines = append(lines, strings.TrimPrefix(one.Field+": "+one.Detail, ": "))
	}
	return strings.Join(lines, "; ")
}

// codeClass is what a code is to HTTP. A code that is not listed is a bad request.
type codeClass struct {
	status int
	title  string
}

var classes = map[contract.Code]codeClass{
	contract.CodeUnauthorized: {fiber.StatusUnauthorized, "No entry without the token"},
	contract.CodeForbidden:    {fiber.StatusForbidden, "Not for another site's page"},
	contract.CodeNotFound:     {fiber.StatusNotFound, "There is no such thing"},
	contract.CodeNotAllowed:   {fiber.StatusMethodNotAllowed, "The method is not allowed here"},
	contract.CodeTimeout:      {fiber.StatusRequestTimeout, "The request took too long"},
	contract.CodeConflict:     {fiber.StatusConflict, "The state of things forbids it"},
	contract.CodeTooLarge:     {fiber.StatusRequestEntityTooLarge, "Too large"},
	contract.CodeNotJSON:      {fiber.StatusUnsupportedMediaType, "The body must be JSON"},
	contract.CodeTooMany:      {fiber.StatusTooManyRequests, "Too many at a time"},
	contract.CodeUnavailable:  {fiber.StatusServiceUnavailable, "Not available just now"},
	contract.CodeInternal:     {fiber.StatusInternalServerError, "A fault of ours"},
}

// ofHTTP is what Fiber's own errors mean; any other of 400 to 499 is a malformed request.
var ofHTTP = map[int]*contract.Error{
	fiber.StatusNotFound:                    contract.Errorf(contract.CodeNotFound, "", "there is no such path; /docs lists them all"),
	fiber.StatusMethodNotAllowed:            contract.Errorf(contract.CodeNotAllowed, "", "the path exists, this method does not; the header Allow lists those that do"),
	fiber.StatusRequestTimeout:              contract.Errorf(contract.CodeTimeout, "", "the request did not come in time"),
	fiber.StatusRequestEntityTooLarge:       contract.Errorf(contract.CodeTooLarge, "", "the body is larger than any request may have"),
	fiber.StatusRequestHeaderFieldsTooLarge: contract.Errorf(contract.CodeTooLarge, "", "the headers are larger than 16 KiB"),
}

// problemOf translates any error, once, at this edge. ours tells that it is to be logged.
func problemOf(err error) (p problem, ours bool) {
	var bad faults
	var known *contract.Error
	var http *fiber.Error
	switch {
	case errors.As(err, &bad) && len(bad) > 0:
		return bad.problem(), false
	case errors.As(err, &known):
		p = faults{{Code: known.Code, Field: known.Field, Pointer: pointerTo(known.Field), Detail: known.Message}}.problem()
		if known.Field == "" {
			p.Errors = nil
		}
		return p, p.Status == fiber.StatusInternalServerError
	case errors.As(err, &http) && http.Code < fiber.StatusInternalServerError:
		if e, ok := ofHTTP[http.Code]; ok {
			p, _ = problemOf(e)
			p.Status = http.Code
			return p, false
		}
		return problemOf(contract.Errorf(contract.CodeMalformed, "", "this is not HTTP as it should be: %s", http.Message))
	case errors.Is(err, stream.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problemOf(contract.Errorf(contract.CodeUnavailable, "", "NATS is away or slow, and what was asked may have happened; try again: a post with the same Idempotency-Key, a requeue with its run named, and the repeat is harmless"))
	}
	p, _ = problemOf(contract.Errorf(contract.CodeInternal, "", "a fault of ours; the log has it under the request id"))
	return p, true
}

// problem joins faults: those of one code keep it, those of several are an invalid request.
func (f faults) problem() problem {
	first := f[0]
	p := problem{Code: first.Code, Field: first.Field, Detail: first.Detail, Errors: f}
	if len(f) > 1 {
		p.Detail = contract.CutText(f.Error(), maxDetail)
	}
	if slices.ContainsFunc(f, func(other fault) bool { return other.Code != first.Code }) {
		p.Code = contract.CodeInvalidRequest
	}
	class, ok := classes[p.Code]
	if !ok || p.Code == contract.CodeTooLarge && p.Field != "" { // a field too long is a bad request, a body is not
		class = codeClass{fiber.StatusBadRequest, "Something in the request is wrong"}
	}
	p.Status, p.Title, p.Type = class.status, class.title, "/docs#"+string(p.Code)
	return p
}

// fail answers with the problem that err is, and logs what is ours.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	p, ours := problemOf(err)
	p.RequestID = s.requestID(c)
	if ours {
		s.log.Error("request went wrong", "requestId", p.RequestID, "method", c.Method(), "route", c.Route().Path, "error", err)
	}
	switch p.Code {
	case contract.CodeUnauthorized:
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	case contract.CodeTooMany, contract.CodeUnavailable:
		c.Set(fiber.HeaderRetryAfter, "2")
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "application/problem+json")
	return c.Status(p.Status).Send(b)
}

// pointerTo turns a field's name (tags[2], payload.target) into a JSON Pointer.
func pointerTo(field string) string {
	if field == "" {
		return ""
	}
	r := strings.NewReplacer("~", "~0", "/", "~1", ".", "/", "[", "/", "]", "")
	return "#/" + r.Replace(field)
}
