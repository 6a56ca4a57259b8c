package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// history is every event of a stream, added up in the simplest way there is: by sets.
type history struct {
	jobs     map[string]map[int]*runHistory
	pods     map[string]map[string]bool // pods of each unit that ended badly, numbered or not
	attempts map[string]runAttempt      // of each pod that was numbered
	units    map[contract.Kind]map[string]bool
	unread   int
}

type runAttempt struct {
	job     string
	run     int
	attempt int
}

type runHistory struct {
	outcomes map[contract.Kind]bool
	reason   contract.Reason // of a failure
	owners   map[string]bool // units that claimed or started it
	attempts map[int]*attemptHistory
}

type attemptHistory struct {
	pods    map[string]bool
	said    map[contract.Kind]bool
	reasons map[contract.Reason]bool
	began   bool // the work did
}

// readHistory reads the stream of events from its first to its last.
func readHistory(t *testing.T, url string) *history {
	t.Helper()
	s, err := stream.Connect(t.Context(), stream.Options{URL: url, Name: t.Name(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := &history{
		jobs: make(map[string]map[int]*runHistory), pods: make(map[string]map[string]bool),
		attempts: make(map[string]runAttempt), units: make(map[contract.Kind]map[string]bool),
	}
	enough := errors.New("enough")
	err = s.Follow(t.Context(), 0, func(st stream.Stored) error {
		if st.Fault != nil {
			h.unread++
		} else if err := h.add(&st.Event); err != nil {
			t.Error(err)
		}
		if st.Seq >= info.Last {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return h
}

func (h *history) add(e *contract.Event) error {
	if e.Kind.OfUnit() {
		set(h.units, e.Kind, e.ID())
		if e.Kind == contract.ClaimFailed {
			set(h.pods, e.Unit, e.Pod)
		}
		return nil
	}
	r := h.run(e.JobID, e.Run)
	if e.Kind.Ends() {
		r.outcomes[e.Kind] = true
		if e.Kind == contract.Failed {
			r.reason = e.Reason
		}
	}
	if e.Attempt == 0 {
		return nil
	}
	if e.Unit == "" || e.Pod == "" {
		return fmt.Errorf("%s by %s names no unit or no pod", e.ID(), e.Source)
	}
	a := r.attempts[e.Attempt]
	if a == nil {
		a = &attemptHistory{pods: make(map[string]bool), said: make(map[contract.Kind]bool), reasons: make(map[contract.Reason]bool)}
		r.attempts[e.Attempt] = a
	}
	a.pods[e.Pod], a.said[e.Kind], r.owners[e.Unit] = true, true, true
	a.began = a.began || e.Kind == contract.Started
	if e.Kind == contract.AttemptFailed {
		a.reasons[e.Reason] = true
		set(h.pods, e.Unit, e.Pod)
	}
	this := runAttempt{e.JobID, e.Run, e.Attempt}
	if other, ok := h.attempts[e.Pod]; ok && other != this {
		return fmt.Errorf("pod %s was %+v and %+v", e.Pod, other, this)
	}
	h.attempts[e.Pod] = this
	return nil
}

func set[K comparable](m map[K]map[string]bool, key K, value string) {
	if m[key] == nil {
		m[key] = make(map[string]bool)
	}
	m[key][value] = true
}

func (h *history) run(id string, run int) *runHistory {
	if h.jobs[id] == nil {
		h.jobs[id] = make(map[int]*runHistory)
	}
	r := h.jobs[id][run]
	if r == nil {
		r = &runHistory{
			outcomes: make(map[contract.Kind]bool), owners: make(map[string]bool), attempts: make(map[int]*attemptHistory),
		}
		h.jobs[id][run] = r
	}
	return r
}

// oneOwner holds every run to what is promised of it: one unit, one pod for each attempt, one outcome.
func (h *history) oneOwner(t *testing.T) {
	t.Helper()
	for id, runs := range h.jobs {
		for n, r := range runs {
			if len(r.owners) > 1 {
				t.Errorf("run %d of job %s had the owners %v", n, id, r.owners)
			}
			if len(r.outcomes) != 1 {
				t.Errorf("run %d of job %s ended as %v", n, id, r.outcomes)
			}
			for m, a := range r.attempts {
				if len(a.pods) != 1 {
					t.Errorf("attempt %d of run %d of job %s had the pods %v", m, n, id, a.pods)
				}
			}
		}
	}
}

// ending joins what was said of an attempt's end, as the design has it.
func (a *attemptHistory) ending() contract.Ending {
	switch {
	case a.said[contract.Succeeded]:
		return contract.EndingSucceeded
	case a.said[contract.AttemptDisrupted]:
		return contract.EndingDisrupted
	case a.said[contract.AttemptFailed]:
		return contract.EndingFailed
	}
	return contract.EndingSuperseded // at rest nothing runs
}

// sums adds the history up into the part of the stats that follows from it alone, at rest.
func (h *history) sums() contract.Sum {
	var s contract.Sum
	for _, runs := range h.jobs {
		newest := 0
		for n, r := range runs {
			newest = max(newest, n)
			failed := s.Attempts.Failed
			for m, a := range r.attempts {
				addAttempt(&s.Attempts, m, a.ending())
			}
			if r.outcomes[contract.Succeeded] {
				s.SucceedJob++
			}
			if r.outcomes[contract.Failed] {
				s.JobRetry--
				if s.Attempts.Failed == failed {
					s.FailedJob++
				}
			}
		}
		s.Jobs.Submitted++
		switch o := runs[newest].outcomes; {
		case o[contract.Succeeded]:
			s.Jobs.Succeeded++
		case o[contract.CancelledKind]:
			s.Jobs.Cancelled++
		case o[contract.Failed]:
			s.Jobs.Failed++
		}
	}
	s.FailedJob += s.Attempts.Failed
	s.JobRetry += s.FailedJob
	return s
}

func addAttempt(c *contract.AttemptCounts, attempt int, e contract.Ending) {
	c.Total++
	if attempt > 1 {
		c.Second++
	}
	switch e {
	case contract.EndingSucceeded:
		c.Succeeded++
	case contract.EndingDisrupted:
		c.Disrupted++
	case contract.EndingFailed:
		c.Failed++
	case contract.EndingSuperseded:
		c.Superseded++
	}
}
