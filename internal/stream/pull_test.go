package stream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// A caller's deadline may be far away: a request that nobody answers must end long before it, for another to be made.
func TestEveryRequestIsBounded(t *testing.T) {
	t.Parallel()
	for name, long := range map[string]time.Duration{"no deadline": 0, "far": time.Hour, "near": time.Second} {
		ctx := t.Context()
		if long > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, long)
			defer cancel()
		}
		bounded, cancel := bound(ctx)
		defer cancel()
		if at, ok := bounded.Deadline(); !ok || time.Until(at) > opTimeout || long == time.Second && time.Until(at) > long {
			t.Errorf("%s: until %s", name, at)
		}
	}
}

// What a sound server never does cannot be made to happen with one: a message that is left out, a message
// heavier than a pull, and the longer form of replies (ADR-15).
func TestAReadingIsOverAtTheFirstDoubt(t *testing.T) {
	t.Parallel()
	status := func(code, description, left string) *nats.Msg {
		return &nats.Msg{Header: nats.Header{"Status": {code}, "Description": {description}, "Nats-Pending-Messages": {left}}}
	}
	next := &nats.Msg{Reply: "$JS.ACK.EVENTS.c.1.42.8.1700000000000000000.3"}
	for name, row := range map[string]struct {
		m     *nats.Msg
		fails error
		asked int // afterwards, of 100
	}{
		"next":           {next, nil, 99},
		"longer reply":   {&nats.Msg{Reply: "$JS.ACK.hub.acc.EVENTS.c.1.42.8.1700000000000000000.3.token"}, nil, 99},
		"left out":       {&nats.Msg{Reply: "$JS.ACK.EVENTS.c.1.43.9.1700000000000000000.2"}, errMissed, 100},
		"again":          {&nats.Msg{Reply: "$JS.ACK.EVENTS.c.1.41.7.1700000000000000000.4"}, errMissed, 100},
		"another's":      {&nats.Msg{Reply: "$JS.ACK.EVENTS.d.1.42.8.1700000000000000000.3"}, errDoubt, 100},
		"still there":    {&nats.Msg{Header: nats.Header{"Status": {"100"}}}, nil, 100},
		"expired":        {status("408", "Request Timeout", "60"), nil, 40},
		"heavy enough":   {status("409", "Message Size Exceeds MaxBytes", "60"), nil, 40},
		"complete":       {status("409", "Batch Completed", "0"), nil, 100},
		"too heavy":      {status("409", "Message Size Exceeds MaxBytes", fmt.Sprint(pullBatch)), errTooLarge, 100},
		"deleted":        {&nats.Msg{Header: nats.Header{"Status": {"409"}, "Description": {"Consumer Deleted"}}}, errDoubt, 100},
		"another leader": {status("409", "Leadership Change", "60"), errDoubt, 100},
		"nobody there":   {&nats.Msg{Header: nats.Header{"Status": {"503"}}}, errDoubt, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &reading{marked: ".c.", last: 7, asked: 100}
			handed := 0
			err := r.take(row.m, func(m message) error {
				handed++
				if m.seq != 42 || m.pending != 3 || m.at.Unix() != 1700000000 {
					t.Errorf("handed on %d of %s with %d behind it", m.seq, m.at, m.pending)
				}
				return nil
			})
			if (err == nil) != (row.fails == nil) || !errors.Is(row.fails, errDoubt) && !errors.Is(err, row.fails) || r.asked != row.asked {
				t.Errorf("%v, %d are asked for", err, r.asked)
			}
			if (handed == 1) != (row.asked == 99) {
				t.Errorf("handed on %d", handed)
			}
		})
	}
}

// errDoubt stands for any.
var errDoubt = errors.New("any")
