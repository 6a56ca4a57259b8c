package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// NATS is the server with its streams; *stream.Stream is one.
type NATS interface {
	Server(ctx context.Context) (stream.Server, error)
	Examine(ctx context.Context, set stream.Settings) []stream.Examined
}

const (
	// maxSkew is how far our clock may be from NATS': times of events are ours, the stored ones NATS'.
	maxSkew = 2 * time.Second
	// fullAt is how full a stream may be, in parts of a hundred.
	fullAt = 90
)

// Streams checks the server, its clock, and every stream and bucket.
func Streams(n NATS, set func() stream.Settings) []Check {
	server := func(ctx context.Context) (string, error) {
		s, err := n.Server(ctx)
		return fmt.Sprintf("%s, version %s, %s away", s.URL, s.Version, s.Trip.Round(10*time.Microsecond)), err
	}
	each := func(ctx context.Context) []contract.CheckLine {
		began := time.Now()
		all := n.Examine(ctx, set())
		lines := make([]contract.CheckLine, 0, len(all)+1)
		for i := range all {
			lines = append(lines, line("stream "+all[i].Name, describe(&all[i]), faultOf(&all[i])))
		}
		if i := slices.IndexFunc(all, func(e stream.Examined) bool { return !e.Now.IsZero() }); i >= 0 {
			lines = append(lines, clock(began, all[i].Now, time.Now()))
		}
		return lines
	}
	return []Check{{Name: "nats server", Run: server}, {Each: each}}
}

func describe(e *stream.Examined) string {
	return fmt.Sprintf("%d messages, %.1f MiB, %d of %d replicas current", e.Messages, float64(e.Bytes)/(1<<20), e.Current, e.Replicas)
}

func faultOf(e *stream.Examined) error {
	switch {
	case e.Fault != nil:
		return e.Fault
	case e.Current < e.Replicas:
		return fmt.Errorf("only %d of %d replicas are current: see `nats stream info %s` for the one that is behind or offline", e.Current, e.Replicas, e.Name)
	case e.Most > 0 && e.Name == contract.StreamEvents && int64(e.Bytes) > e.Most/100*fullAt:
		return fmt.Errorf("it holds %d of %d bytes, and drops its oldest events when it is full: give it more with `nats stream edit %s --max-bytes`", e.Bytes, e.Most, e.Name)
	}
	return nil
}

// clock compares our clock with the server's, which answered in between.
func clock(began, server, ended time.Time) contract.CheckLine {
	skew := time.Duration(0)
	switch {
	case server.Before(began):
		skew = began.Sub(server)
	case server.After(ended):
		skew = server.Sub(ended)
	}
	if skew > maxSkew {
		return line("clock", "", fmt.Errorf("this machine's clock is %s from that of NATS: let both follow NTP, or durations are wrong", skew.Round(time.Millisecond)))
	}
	return line("clock", fmt.Sprintf("within %s of that of NATS", maxSkew), nil)
}
