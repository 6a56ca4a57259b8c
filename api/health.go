package api

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
)

const readyTimeout = 2 * time.Second

type status struct {
	Status string `json:"status"`
}

func (s *Server) health(c *fiber.Ctx) error { return c.JSON(status{"ok"}) }

func (s *Server) ready(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.base, readyTimeout)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		s.log.Debug("not ready", "error", err)
		return contract.Errorf(contract.CodeUnavailable, "", "not ready: NATS is away, or the books are still being read")
	}
	return c.JSON(status{"ok"})
}
