//go:build !image

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"tallyman/contract"
	"tallyman/internal/dev"
)

// demoJob is one of the jobs that a newcomer sees, with the end that it must have.
type demoJob struct {
	name     string
	payload  string
	attempts int
}

// demoJobs: real records, the original's own function, and a first attempt that fails. The seed of the
// second is one with which its 5000 records end well.
func demoJobs() []demoJob {
	return []demoJob{
		{"profile of " + ordersFile, `{"source":"` + ordersFile + `"}`, 1},
		{"the original's 5000 records", `{"records":5000,"seed":` + demoSeed + `}`, 1},
		{"fails first, then succeeds", `{"records":1000,"failureRate":0,"failAttempts":1}`, 2},
	}
}

const (
	demoSeed    = "8"
	demoTimeout = 2 * time.Minute
)

// demo submits the jobs, shows them live, and tells whether all of it ended as it must.
func demo(ctx context.Context, a dev.Addresses, out, diag io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	c := &client{base: a.API, http: &http.Client{}, timeout: askTimeout}
	jobs := demoJobs()
	board := newBoard(out, len(jobs))
	ids := make([]string, len(jobs))
	var wg sync.WaitGroup
	for i, j := range jobs {
		var r receipt
		err := c.ask(ctx, http.MethodPost, "/jobs", post{Type: "process-data", Payload: json.RawMessage(j.payload)}, &r)
		if err != nil {
			return err
		}
		ids[i] = r.JobID
		wg.Go(func() {
			if _, err := c.followJob(ctx, r.JobID, func(l life) { board.see(i, j.name, l) }); err != nil {
				fmt.Fprintf(diag, "tallyman: the job %q could not be followed: %v\n", j.name, err)
			}
		})
	}
	wg.Wait()
	return judge(ctx, c, jobs, ids, out)
}

// judge shows the books and holds them to what the jobs must have added up to.
func judge(ctx context.Context, c *client, jobs []demoJob, ids []string, out io.Writer) error {
	var st contract.Stats
	if err := c.ask(ctx, http.MethodGet, "/jobs/stats", nil, &st); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if err := writeStats(out, &st); err != nil {
		return err
	}
	for i, j := range jobs {
		if err := j.judge(ctx, c, ids[i]); err != nil {
			return err
		}
	}
	if !st.Balanced {
		return fmt.Errorf("the ledger is not balanced: %+v", st.Balance)
	}
	return nil
}

// judge holds one job to the end that it must have, after as many attempts as it must have had.
func (d *demoJob) judge(ctx context.Context, c *client, id string) error {
	more := "`tallyman get " + id + "` and `tallyman logs " + id + "` tell more"
	var j job
	if err := c.ask(ctx, http.MethodGet, "/jobs/"+id, nil, &j); err != nil {
		return err
	}
	if j.State != contract.StateSucceeded {
		return fmt.Errorf("the job %q is %s, succeeded was expected: %s", d.name, withReason(string(j.State), j.Reason), more)
	}
	if len(j.Attempts) != d.attempts {
		return fmt.Errorf("the job %q took %d attempts, %d were expected: %s", d.name, len(j.Attempts), d.attempts, more)
	}
	return nil
}

// board shows one line for each job: in place on a terminal, one line per change elsewhere.
type board struct {
	out  io.Writer
	live *os.File // the terminal that out is; nil: it is none

	mu    sync.Mutex
	lines []string
	drawn int
}

func newBoard(out io.Writer, n int) *board {
	b := &board{out: out, lines: make([]string, n)}
	if f, ok := terminal(out); ok {
		b.live = f
	}
	return b
}

func (b *board) see(i int, name string, l life) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// The id is last, so that a narrow terminal shows what changes.
	b.lines[i] = fmt.Sprintf("%-30s  %-36s  %s", name, l.words(), l.JobID)
	if b.live == nil {
		fmt.Fprintln(b.out, b.lines[i])
		return
	}
	columns, _ := sizeOf(b.live)
	lines := b.render(columns)
	_ = draw(b.live, lines, b.drawn) // who looks on sees that it failed
	b.drawn = len(lines)
}

// render gives the lines as a terminal of so many columns shows them.
func (b *board) render(columns int) []string { return cut(slices.Clone(b.lines), columns) }
