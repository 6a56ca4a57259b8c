package api

import (
	"context"
	"time"

	"tallyman/contract"
)

// Limits of asking for the past: each answer that is not remembered folds the log from its beginning.
const (
	maxReadings = 1 // at a time
	pastTimeout = time.Minute
	keptPasts   = 4
)

// past remembers the last books of the past that were asked for: they do not change.
type past struct {
	port    Past
	reading chan struct{}
	kept    *lru[string, *books]
}

func newPast(port Past) *past {
	return &past{port: port, reading: make(chan struct{}, maxReadings), kept: newLRU[string, *books](keptPasts)}
}

// books gives the books as they were; at names the moment.
func (p *past) books(ctx context.Context, at string, seq uint64, moment time.Time) (*books, error) {
	if b, ok := p.kept.get(at); ok {
		return b, nil
	}
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	default:
		return nil, contract.Errorf(contract.CodeTooMany, "", "somebody reads the past already, which is much work; try again later")
	}
	ctx, cancel := context.WithTimeout(ctx, pastTimeout)
	defer cancel()
	entries, err := p.port.At(ctx, seq, moment)
	if ctx.Err() != nil {
		return nil, contract.Errorf(contract.CodeUnavailable, "", "the log could not be read in %s; ask for an earlier moment, or later", pastTimeout)
	}
	if err != nil {
		return nil, err
	}
	b := newBooks()
	for _, e := range entries {
		if e.Key != contract.KeyStats {
			err = b.take(e)
		} else {
			err = b.show(e.Value)
		}
		if err != nil {
			return nil, err
		}
	}
	p.kept.put(at, b, 1)
	return b, nil
}
