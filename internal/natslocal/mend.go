package natslocal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// healthEvery is how often the server is asked whether it can write.
	healthEvery = time.Second
	// enduring is how many times in a row it must have said that it cannot: to start it again breaks every
	// connection, and it calls itself unhealthy too where the machine gives it no millisecond to look at itself.
	enduring = 3
	// enough is how much must fit on the disk again before the server is started again.
	enough = 1 << 20
)

// Ready tells why the server cannot store, if it cannot.
func (s *Server) Ready(context.Context) error {
	if h := s.now().Healthz(nil); h.Error != "" {
		return fmt.Errorf("NATS cannot store in %s: %s; it is tried again once %d KiB can be written there", s.o.Dir, h.Error, enough>>10)
	}
	return nil
}

// Run watches the server until ctx ends. A JetStream that failed to write, on a full disk say, refuses every
// write from then on, even when there is room again; only another life of it helps, so it gets one. What was
// acknowledged is in its files.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for inARow := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := s.Ready(ctx)
		if err == nil {
			inARow = 0
			continue
		}
		if inARow++; inARow == enduring {
			s.log.Error("nothing can be stored", "error", err)
		}
		if inARow < enduring || !s.hasRoom() {
			continue
		}
		if err := s.restart(); err != nil {
			s.log.Error("NATS could not be started again", "error", err)
			continue
		}
		s.log.Warn("NATS was started again, since it had failed to write")
	}
}

// hasRoom tries to write what the server will want to write.
func (s *Server) hasRoom() bool {
	probe := filepath.Join(s.o.Dir, "room")
	err := os.WriteFile(probe, make([]byte, enough), 0o600)
	_ = os.Remove(probe) // one that stays is overwritten by the next
	return err == nil
}

// restart ends this life and begins another at the same address.
func (s *Server) restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop(s.ns)
	host, port, err := splitAddr(s.o.Addr)
	if err != nil {
		return err
	}
	ns, err := open(&s.o, host, port)
	if err != nil {
		return err
	}
	s.ns = ns
	return nil
}
