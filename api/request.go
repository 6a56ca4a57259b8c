package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"runtime/debug"
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
	start := time.Now()
	s.requestID(c)
	err := s.recovered(c)
	if err != nil {
		err = s.fail(c, err)
	}
	s.logLine(c, start)
	return err
}

// recovered runs the handlers; a panic is an error like any other.
func (s *Server) recovered(c *fiber.Ctx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.Next()
}

// requestID gives the id of the request: the client's, where it can be trusted to stand in a log, or a new one.
func (s *Server) requestID(c *fiber.Ctx) string {
	if id := c.GetRespHeader(headerRequestID); id != "" {
		return id
	}
	id := c.Get(headerRequestID)
	if !contract.ValidLabel(id, maxRequestID) {
		id = s.newID()
	}
	c.Set(headerRequestID, id)
	return id
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
	ctx := c.Context()
	if !s.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
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
	s.log.LogAttrs(ctx, slog.LevelInfo, "request", line...)
}

// guard asks for the token, where there is one. Hashes are compared, so that not even its length can be
// learned from the time that it takes.
func (s *Server) guard(c *fiber.Ctx) error {
	if !s.closed {
		return c.Next()
	}
	scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	hash := hashToken(token)
	if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(hash[:], s.token[:]) != 1 {
		return contract.Errorf(contract.CodeUnauthorized, "", "send the header Authorization: Bearer <token>")
	}
	return c.Next()
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

// idempotencyKey is the client's own name of a submission; "" where it gave none.
func idempotencyKey(c *fiber.Ctx) (string, error) {
	key := c.Get(headerKey)
	if key != "" && !contract.ValidLabel(key, contract.MaxSubmitter) {
		return "", paramFault(headerKey, "must be 1 to 128 printable ASCII characters without spaces")
	}
	return key, nil
}

// paramFault is a fault of a header or of a parameter in the URL, which no pointer leads to.
func paramFault(name, detail string) error {
	return faults{{Code: contract.CodeInvalidValue, Field: name, Detail: name + " " + detail}}
}
