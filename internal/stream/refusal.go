package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// maxRefusals bounds how many are remembered as named.
const maxRefusals = 100

// refusals keeps what a server refused. It answers a request that is not allowed with silence, and says why
// beside it: without that word, a missing right looks like a slow server.
type refusals struct {
	log *slog.Logger

	mu    sync.Mutex
	last  error
	at    time.Time
	named map[string]bool
}

// handle logs each refusal once: whoever is refused tries again, for ever.
func (r *refusals) handle(_ *nats.Conn, sub *nats.Subscription, err error) {
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	r.mu.Lock()
	if errors.Is(err, nats.ErrPermissionViolation) {
		r.last, r.at = err, time.Now()
	}
	again := r.named[err.Error()]
	if len(r.named) >= maxRefusals {
		clear(r.named)
	}
	r.named[err.Error()] = true
	r.mu.Unlock()
	level := slog.LevelWarn
	if again {
		level = slog.LevelDebug
	}
	r.log.Log(context.Background(), level, "nats", "subject", subject, "error", err)
}

// explain adds to err why the server was silent, where it has said so since.
func (r *refusals) explain(err error, since time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || r.last == nil || r.at.Before(since) {
		return err
	}
	return fmt.Errorf("%w: the server refuses it: %w", err, r.last)
}
