package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

const (
	headerRequestID = "X-Request-Id" // as Go and fasthttp spell X-Request-ID
	headerSubmitter = "X-Submitter"
	headerKey       = "Idempotency-Key"
	maxRequestID    = 128
	localJobID      = "jobId"
)

// around surrounds every request: an id, no panic past here, an answer to every error, one log line.
func (s *Server) around(c *fiber.Ctx) error {
	s.nameRequest(c)
	if !s.log.Enabled(c.Context(), slog.LevelInfo) {
		return s.answered(c)
	}
	start := time.Now()
	err := s.answered(c)
	s.logLine(c, start)
	return err
}

func (s *Server) answered(c *fiber.Ctx) error {
	if err := s.recovered(c); err != nil {
		return s.fail(c, err)
	}
	return nil
}

// recovered runs the handlers.
func (s *Server) recovered(c *fiber.Ctx) (err error) {
	defer caught(&err)
	return c.Next()
}

// caught makes a panic an error like any other; it is deferred by whoever runs what a request asks for.
func caught(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	}
}

// nameRequest gives the request its id: the client's, where it can be trusted to stand in a log, or a new
// one. Those made here only count: randomness for each would be seen in the throughput of GET /jobs/stats.
func (s *Server) nameRequest(c *fiber.Ctx) {
	id := c.Request().Header.PeekBytes([]byte(headerRequestID))
	if !contract.ValidLabel(string(id), maxRequestID) {
		id = strconv.AppendUint([]byte(s.process), s.requests.Add(1), 36)
	}
	c.Response().Header.SetCanonical([]byte(headerRequestID), id)
}

// requestID gives the id of the request. What fails before any handler has none yet.
func (s *Server) requestID(c *fiber.Ctx) string {
	id := c.Response().Header.PeekBytes([]byte(headerRequestID))
	if len(id) == 0 {
		s.nameRequest(c)
		id = c.Response().Header.PeekBytes([]byte(headerRequestID))
	}
	return string(id)
}

// newID makes an id from the clock and randomness. crypto/rand does not fail; a source that does is a fault.
func (s *Server) newID() string {
	id, err := contract.NewJobID(s.now(), s.random)
	if err != nil {
		panic(fmt.Errorf("make an id: %w", err))
	}
	return id
}

// logLine says what was answered: no body, no query, no token.
func (s *Server) logLine(c *fiber.Ctx, start time.Time) {
	line := []slog.Attr{
		slog.String("requestId", s.requestID(c)),
		slog.String("method", c.Method()),
		slog.String("route", c.Route().Path),
		slog.Int("status", c.Response().StatusCode()),
		slog.Float64("ms", float64(time.Since(start).Microseconds())/1000),
	}
	id, _ := c.Locals(localJobID).(string)
	if id = or(id, c.Params("jobId")); id != "" {
		line = append(line, slog.String("jobId", id))
	}
	s.log.LogAttrs(c.Context(), slog.LevelInfo, "request", line...)
}

// guard asks for the token, where there is one; where there is none, it keeps other sites' pages out. Hashes are compared, so that not even its length can be
// learned from the time that it takes.
func (s *Server) guard(next fiber.Handler) fiber.Handler {
	if !s.closed {
		return func(c *fiber.Ctx) error {
			if err := s.foreign(c); err != nil {
				return err
			}
			return next(c)
		}
	}
	return func(c *fiber.Ctx) error {
		scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
		hash := hashToken(token)
		if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(hash[:], s.token[:]) != 1 {
			return contract.Errorf(contract.CodeUnauthorized, "", "send the header Authorization: Bearer <token>")
		}
		return next(c)
	}
}

func hashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// submitter is who the request says it comes from.
func submitter(c *fiber.Ctx) (string, error) {
	name := c.Get(headerSubmitter)
	if name == "" {
		return "api", nil
	}
	if !contract.ValidLabel(name, contract.MaxSubmitter) {
		return "", paramFault(headerSubmitter, "must be 1 to 128 printable ASCII characters without spaces")
	}
	return name, nil
}

// idempotencyKey is the client's own name of a submission; "" where it gave none. An empty header is no such name: it
// comes from a client that means to be protected, and has lost what was to stand there.
func idempotencyKey(c *fiber.Ctx) (string, error) {
	key := c.Get(headerKey)
	if given := len(c.Request().Header.PeekAll(headerKey)) > 0; given && !contract.ValidLabel(key, contract.MaxSubmitter) {
		return "", paramFault(headerKey, "must be 1 to 128 printable ASCII characters without spaces")
	}
	return key, nil
}

// paramFault is a fault of a header or of a parameter in the URL, which no pointer leads to.
func paramFault(name, detail string) error {
	return faults{{Code: contract.CodeInvalidValue, Field: name, Detail: name + " " + detail}}
}
