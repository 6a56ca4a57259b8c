package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Part is something that runs until its context ends. It is listed behind the parts that it needs, so
// that it ends before them: who sends ends before who receives.
type Part struct {
	Name string
	Run  func(context.Context) error
	// Ready says what is missing for the part to do its work; nil where it has nothing to say.
	Ready func(context.Context) error
}

// StopTimeout bounds the ending of a whole program.
const StopTimeout = 25 * time.Second

// Run starts the parts in order. When ctx ends, or when a part ends by itself, it ends them all in
// reverse order, and gives the error of the part that ended first; a clean end is no error.
func Run(ctx context.Context, log *slog.Logger, parts ...Part) error {
	ended := make(chan result, len(parts))
	running := make([]running, len(parts))
	for i, p := range parts {
		running[i] = start(p, ended)
	}
	var first error
	select {
	case <-ctx.Done():
	case r := <-ended:
		first = r.because()
	}
	deadline := time.After(StopTimeout)
	errs := []error{first}
	for i := len(running) - 1; i >= 0; i-- {
		running[i].cancel()
		select {
		case <-running[i].done:
		case <-deadline:
			return errors.Join(append(errs, fmt.Errorf("%s did not end within %s", parts[i].Name, StopTimeout))...)
		}
		log.Debug("ended", "part", parts[i].Name)
	}
	return errors.Join(errs...)
}

type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

type result struct {
	name string
	err  error
}

// because makes an error of every ending that nobody asked for.
func (r result) because() error {
	if r.err == nil {
		return fmt.Errorf("%s ended by itself", r.name)
	}
	return fmt.Errorf("%s: %w", r.name, r.err)
}

func start(p Part, ended chan<- result) running {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := p.Run(ctx)
		ended <- result{p.Name, err}
	}()
	return running{cancel, done}
}
