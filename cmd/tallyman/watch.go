package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
)

// How often a table is drawn at most, and the books are asked for.
const (
	drawEvery  = 250 * time.Millisecond
	booksEvery = time.Second
	watchList  = 50 // jobs that it begins with
)

func newWatch(s *shared) *cobra.Command {
	var at following
	cmd := &cobra.Command{
		Use: "watch", Annotations: mark(endless),
		Short: "Watch jobs as they change: a live table, or a line for each change",
		Long: "Watch jobs as they change. On a terminal this is a table under the sums of all states; elsewhere, and\n" +
			"with -o json, a line for each change.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			w := &watcher{c: c, at: at, table: newTable(), diag: cmd.ErrOrStderr()}
			out := cmd.OutOrStdout()
			if f, ok := terminal(out); ok && s.output == "text" {
				return w.draw(cmd.Context(), f)
			}
			return w.lines(cmd.Context(), out, s.output == "json")
		},
	}
	f := cmd.Flags()
	f.StringVar(&at.queue, "queue", "", "only of these queues, separated by commas")
	f.StringVar(&at.jobType, "type", "", "only of these job types, separated by commas")
	return cmd
}

// watcher joins what is with what comes.
type watcher struct {
	c    *client
	at   following
	diag io.Writer

	mu    sync.Mutex
	table *table
	books contract.Stats
}

// begin takes in the newest jobs, and gives the sequence behind which they go on: an older one than the list
// has, so that nothing lies between; what comes twice changes nothing.
func (w *watcher) begin(ctx context.Context) (after string, err error) {
	if err := w.c.ask(ctx, http.MethodGet, "/jobs/stats", nil, &w.books); err != nil {
		return "", err
	}
	var page struct{ Jobs []job }
	if err := w.c.ask(ctx, http.MethodGet, "/jobs?limit="+strconv.Itoa(watchList), nil, &page); err != nil {
		return "", err
	}
	for i := len(page.Jobs) - 1; i >= 0; i-- {
		if j := &page.Jobs[i]; listed(w.at.queue, j.Queue) && listed(w.at.jobType, j.Type) {
			w.table.know(j)
		}
	}
	return strconv.FormatUint(w.books.AsOf.Seq, 10), nil
}

// listed tells whether a name is among those that are asked for; none means all.
func listed(names, name string) bool {
	return names == "" || strings.Contains(","+names+",", ","+name+",")
}

// follow hands each change of a job to see.
func (w *watcher) follow(ctx context.Context, after string, see func(*seen) error) error {
	return w.c.follow(ctx, w.at.path(), after, func(e sse) error {
		if e.event == "gap" || e.event == "lagged" {
			fmt.Fprintln(w.diag, "tallyman:", e.about())
			return nil
		}
		ev, err := contract.DecodeEvent([]byte(e.data))
		if err != nil {
			return nil // a kind that this build does not know
		}
		w.mu.Lock()
		s := w.table.apply(&ev)
		w.mu.Unlock()
		if s == nil {
			return nil
		}
		return see(s)
	})
}

// lines prints each change.
func (w *watcher) lines(ctx context.Context, out io.Writer, asJSON bool) error {
	after, err := w.begin(ctx)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	return w.follow(ctx, after, func(s *seen) error {
		if asJSON {
			return enc.Encode(s)
		}
		_, err := fmt.Fprintln(out, s.line())
		return err
	})
}

// draw draws the table until ctx ends, and leaves its last picture on the terminal.
func (w *watcher) draw(ctx context.Context, out *os.File) error {
	after, err := w.begin(ctx)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return w.follow(ctx, after, func(*seen) error { return nil }) })
	work.Go(func() error { return w.refresh(ctx) })
	work.Go(func() error {
		tick := time.NewTicker(drawEvery)
		defer tick.Stop()
		for drawn := 0; ; {
			columns, rows := sizeOf(out)
			w.mu.Lock()
			lines := w.table.render(&w.books, time.Now(), rows-1, columns)
			w.mu.Unlock()
			if err := draw(out, lines, drawn); err != nil {
				return err
			}
			drawn = len(lines)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	})
	return work.Wait()
}

// refresh asks for the sums. A server that is away for a moment leaves the last ones standing.
func (w *watcher) refresh(ctx context.Context) error {
	tick := time.NewTicker(booksEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var st contract.Stats
		if err := w.c.ask(ctx, http.MethodGet, "/jobs/stats", nil, &st); err == nil {
			w.mu.Lock()
			w.books = st
			w.mu.Unlock()
		}
	}
}
