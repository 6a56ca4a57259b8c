package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Server is the NATS that we speak to.
type Server struct {
	URL     string
	Version string
	Trip    time.Duration // of a message there and back
}

// Server asks it.
func (s *Stream) Server(ctx context.Context) (Server, error) {
	if err := s.Ready(ctx); err != nil {
		return Server{}, err
	}
	trip, err := s.nc.RTT()
	if err != nil {
		return Server{}, wrap(err, "ask", "NATS")
	}
	return Server{URL: redacted(s.nc.ConnectedUrl()), Version: s.nc.ConnectedServerVersion(), Trip: trip}, nil
}

// Examined is one stream or bucket, as it is.
type Examined struct {
	Name     string
	Messages uint64
	Bytes    uint64
	Written  uint64 // messages that it ever took
	Most     int64  // bytes that it may hold; -1: as much as the server has
	Replicas int
	Current  int       // replicas that are not behind, the leader too
	Now      time.Time // the server's clock, when it answered
	Fault    error     // what of it is wrong, and what to do
}

// Examine looks at every stream and bucket, and changes nothing.
func (s *Stream) Examine(ctx context.Context, set Settings) []Examined {
	var all []Examined
	for _, want := range set.configs() {
		began := time.Now()
		e, err := s.examine(ctx, want)
		e.Name, e.Fault = want.Name, s.refusals.explain(err, began)
		all = append(all, e)
	}
	return all
}

func (s *Stream) examine(ctx context.Context, want jetstream.StreamConfig) (e Examined, err error) {
	have, err := s.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return e, fmt.Errorf("stream %s is missing: %w; the aggregator makes it when it starts", want.Name, ErrNotFound)
	}
	if err != nil {
		return e, wrap(err, "look at stream", want.Name)
	}
	i := have.CachedInfo()
	e = Examined{
		Messages: i.State.Msgs, Bytes: i.State.Bytes, Written: i.State.LastSeq, Most: i.Config.MaxBytes, Replicas: i.Config.Replicas, Current: i.Config.Replicas, Now: i.TimeStamp,
	}
	if i.Cluster != nil {
		e.Current = 1
		for _, r := range i.Cluster.Replicas {
			if r.Current && !r.Offline {
				e.Current++
			}
		}
	}
	return e, check(want, i.Config)
}
