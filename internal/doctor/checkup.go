package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tallyman/contract"
	"tallyman/internal/service"
)

// Check finds out one thing. It gives what it found; an error says what is wrong and what to do. One that finds
// several gives them by Each instead.
type Check struct {
	Name string
	Run  func(ctx context.Context) (says string, err error)
	Each func(ctx context.Context) []contract.CheckLine
}

// Records is where checkups are told; *stream.Bucket is one.
type Records interface {
	Put(ctx context.Context, key string, value []byte) (revision uint64, err error)
}

const (
	// Every is how often a process examines itself.
	Every = 15 * time.Second
	// checkTimeout bounds one check.
	checkTimeout = 5 * time.Second
)

// Self is a process that examines itself.
type Self struct {
	Component string
	Instance  string
	Checks    func() []Check // asked each time: parts may come to be
	Records   Records
	Log       *slog.Logger
}

// Run examines and tells until ctx ends. What cannot be told shows as silence.
func (s *Self) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		if err := s.tell(ctx); err != nil && ctx.Err() == nil {
			s.Log.Debug("the checkup could not be told; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Self) tell(ctx context.Context) error {
	c := s.Examine(ctx)
	value, err := json.Marshal(&c)
	if err != nil {
		return fmt.Errorf("encode the checkup of %s: %w", s.Instance, err)
	}
	_, err = s.Records.Put(ctx, contract.CheckupKey(s.Component, s.Instance), value)
	return err
}

// Examine runs every check, one after the other.
func (s *Self) Examine(ctx context.Context) contract.Checkup {
	c := contract.Checkup{V: contract.CheckupVersion, Component: s.Component, Instance: s.Instance, Version: service.Version(), Lines: []contract.CheckLine{}}
	for _, check := range s.Checks() {
		for _, l := range check.lines(ctx) {
			if len(c.Lines) < contract.MaxCheckLines {
				l.Says = contract.CutText(strings.ReplaceAll(l.Says, "\n", "; "), contract.MaxCheckText)
				c.Lines = append(c.Lines, l)
			}
		}
	}
	c.At = contract.At(time.Now())
	return c
}

func (c *Check) lines(ctx context.Context) []contract.CheckLine {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if c.Each != nil {
		return c.Each(ctx)
	}
	says, err := c.Run(ctx)
	return []contract.CheckLine{line(c.Name, says, err)}
}

func line(name, says string, err error) contract.CheckLine {
	if err != nil {
		return contract.CheckLine{Name: name, Says: err.Error()}
	}
	return contract.CheckLine{Name: name, OK: true, Says: says}
}

// Parts asks the parts of a program what their readiness page asks them: each says by itself which dependency
// or right is missing.
func Parts(parts []service.Part) (checks []Check) {
	for _, p := range parts {
		if p.Ready == nil {
			continue
		}
		checks = append(checks, Check{Name: p.Name, Run: func(ctx context.Context) (string, error) { return "ready", p.Ready(ctx) }})
	}
	return checks
}
