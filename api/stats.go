package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// jobStats sends bytes that were rendered when the books last changed.
func (s *Server) jobStats(c *fiber.Ctx) error {
	if err := s.ledger.ready(s.base); err != nil {
		return err
	}
	b := s.ledger.books.Load()
	h := &c.Response().Header
	h.SetCanonical([]byte("Etag"), b.etag) // as fasthttp spells it: any other way would be spelt anew each time
	if match := c.Request().Header.PeekBytes([]byte(fiber.HeaderIfNoneMatch)); len(match) > 0 && hasTag(string(match), string(b.etag)) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	h.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(b.body)
	return nil
}

// hasTag looks for a tag in the list of an If-None-Match.
func hasTag(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
