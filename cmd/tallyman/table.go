package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tallyman/contract"
)

// maxTable is how many jobs a table knows: of more, those that ended first are forgotten, then the oldest.
const maxTable = 1000

// table is the jobs that somebody watches, as events tell them.
type table struct {
	jobs map[string]*seen
	tick int // counts what was seen, so that the last change is told from the one before
}

// seen is one job of a table.
type seen struct {
	life
	Queue string `json:"queue"`
	Type  string `json:"type"`
	last  int
}

func newTable() *table { return &table{jobs: make(map[string]*seen)} }

// know takes in a job of a list.
func (t *table) know(j *job) {
	at := j.EndedAt
	if at.IsZero() {
		at = j.UpdatedAt
	}
	t.put(&seen{Queue: j.Queue, Type: j.Type, life: life{
		JobID: j.JobID, State: j.State, Run: j.Run, Attempt: j.Attempt, Reason: j.Reason, Message: j.Message,
		Began: j.SubmittedAt, At: at,
	}})
}

func (t *table) put(s *seen) {
	t.tick++
	s.last = t.tick
	t.jobs[s.JobID] = s
	if len(t.jobs) > maxTable {
		all := t.sorted()
		delete(t.jobs, all[len(all)-1].JobID)
	}
}

// apply takes in an event, and gives the job where a person would see it change.
func (t *table) apply(e *contract.Event) *seen {
	if e.Kind.OfUnit() || e.JobID == "" {
		return nil
	}
	s := t.jobs[e.JobID]
	if s == nil {
		s = &seen{Queue: e.Queue, Type: e.Type, life: life{JobID: e.JobID, Began: e.SubmittedAt}}
	}
	if !s.apply(*e) {
		return nil
	}
	t.put(s)
	return s
}

// sorted gives the jobs that are not over, then those that are; each with what changed last first.
func (t *table) sorted() []*seen {
	all := make([]*seen, 0, len(t.jobs))
	for _, s := range t.jobs {
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y *seen) int {
		if x.State.Ended() != y.State.Ended() {
			if x.State.Ended() {
				return 1
			}
			return -1
		}
		return cmp.Compare(y.last, x.last)
	})
	return all
}

// line is a change in one line.
func (s *seen) line() string {
	return fmt.Sprintf("%s  %s  %s/%s", s.At, s.life.line(), s.Queue, s.Type)
}

// render draws the table into so many lines of so many columns.
func (t *table) render(books *contract.Stats, now time.Time, rows, columns int) []string {
	j := books.Jobs
	lines := []string{
		fmt.Sprintf("submitted %d   accepted %d   queued %d   running %d   retrying %d   succeeded %d   failed %d   cancelled %d   %s",
			j.Submitted, j.Accepted, j.Queued, j.Running, j.Retrying, j.Succeeded, j.Failed, j.Cancelled, balancedWord(books)),
		"",
	}
	var drawn strings.Builder
	tw := tabwriter.NewWriter(&drawn, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "JOB\tTYPE\tQUEUE\tSTATE\tATTEMPT\tFOR\tMESSAGE")
	all := t.sorted()
	for _, s := range all[:max(0, min(len(all), rows-4))] {
		lived := s.took()
		if !s.State.Ended() {
			lived = max(0, now.Sub(s.Began.Time))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.JobID, s.Type, s.Queue, withReason(string(s.State), s.Reason),
			s.tries(), lived.Round(time.Second), firstLine(s.Message))
	}
	_ = tw.Flush() // a strings.Builder takes everything
	for line := range strings.Lines(drawn.String()) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	if more := len(all) - (len(lines) - 3); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return cut(lines, columns)
}

func (s *seen) tries() string {
	if s.Run > 1 {
		return fmt.Sprintf("%d of run %d", s.Attempt, s.Run)
	}
	return fmt.Sprint(s.Attempt)
}
