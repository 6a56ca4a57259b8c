package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/gofiber/fiber/v2"

	"tallyman/contract"
	"tallyman/internal/doctor"
	"tallyman/internal/stream"
)

// maxCheckups bounds the processes that are remembered; the bucket forgets those that ended a week ago.
const maxCheckups = 1000

// checkups is the last that each process told of itself.
type checkups struct {
	mu  sync.Mutex
	all map[string]contract.Checkup // by key
}

func newCheckups() *checkups { return &checkups{all: make(map[string]contract.Checkup)} }

// runCheckups watches what processes tell.
func (s *Server) runCheckups(ctx context.Context, bucket Watcher) error {
	return bucket.Watch(ctx, contract.CheckupKeys, func(e stream.Entry) error {
		var c contract.Checkup
		if !e.Deleted && (json.Unmarshal(e.Value, &c) != nil || c.V != contract.CheckupVersion) {
			return nil // of another version: its silence shows
		}
		s.checkups.take(e.Key, e.Deleted, c)
		return nil
	}, func() error { return nil })
}

func (c *checkups) take(key string, gone bool, told contract.Checkup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gone {
		delete(c.all, key)
	} else if _, known := c.all[key]; known || len(c.all) < maxCheckups {
		c.all[key] = told
	}
}

func (c *checkups) list() []contract.Checkup {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]contract.Checkup, 0, len(c.all))
	for _, told := range c.all {
		all = append(all, told)
	}
	return all
}

// diagnose answers with a line for each thing that must be right: 200 where all are, else 503, with the same
// body, so that a probe needs no JSON. That this api does not hear NATS is a line too, and then explains the rest.
func (s *Server) diagnose(c *fiber.Ctx) error {
	d := doctor.Diagnose(s.checkups.list(), s.now())
	ctx, cancel := s.work()
	defer cancel()
	if err := s.signals.Ready(ctx); err != nil {
		d.OK = false
		d.Lines = append([]contract.CheckLine{{Component: "api", Name: "nats", Says: err.Error()}}, d.Lines...)
	}
	if !d.OK {
		c.Status(http.StatusServiceUnavailable)
	}
	return c.JSON(&d)
}
