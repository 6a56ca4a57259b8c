package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// purge is what POST /queues/{queue}/purge answers; of several answers, what they add up to.
type purge struct {
	Queue     string `json:"queue"`
	Cancelled int    `json:"cancelled"`
	Remaining int    `json:"remaining"`
	Next      string `json:"next,omitempty"`
}

func newPurge(s *shared) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "purge QUEUE", Short: "Cancel all that waits in a queue", Args: cobra.ExactArgs(1),
		Long: "Cancel every job of a queue that nothing has claimed yet. What runs goes on, jobs that come later stay, and so\n" +
			"does a failed job that would run again by itself. Without --yes nothing is cancelled: it says how many would be.\n\n" +
			"Where the api cannot say yet what waits, it is asked again for a minute. The count is of what it answered: what it\n" +
			"cancelled while NATS went away is not in it.",
		Example: "  tallyman purge media          # how many?\n" +
			"  tallyman purge media --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			path := "/queues/" + url.PathEscape(args[0]) + "/purge"
			if !yes {
				return s.wouldPurge(cmd, c, path)
			}
			total, err := purgeAll(cmd.Context(), c, path, cmd.ErrOrStderr())
			if err != nil && total.Cancelled > 0 {
				before := fmt.Sprintf("%d jobs were cancelled before that, the same command goes on", total.Cancelled)
				return interrupted(cmd.Context(), fmt.Errorf("%w; %s", err, before), before)
			}
			if err != nil {
				return err
			}
			b, err := json.Marshal(total)
			if err != nil {
				return err
			}
			return s.print(cmd.OutOrStdout(), b, fmt.Sprintf("%d cancelled\n", total.Cancelled))
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do cancel them")
	return cmd
}

// wouldPurge says how many would be cancelled, and how to.
func (s *shared) wouldPurge(cmd *cobra.Command, c *client, path string) error {
	var b json.RawMessage
	if err := askToPurge(cmd.Context(), c, path+"?limit=0", &b, cmd.ErrOrStderr()); err != nil {
		return err
	}
	var p purge
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	if err := s.print(cmd.OutOrStdout(), b, ""); err != nil {
		return err
	}
	return fmt.Errorf("%d jobs wait in queue %s and would be cancelled: add --yes to do that", p.Remaining, p.Queue)
}

// purgeAll asks until nothing remains of what waited at first. Each answer goes on behind the one before, so there
// is an end, however many jobs come in meanwhile.
func purgeAll(ctx context.Context, c *client, path string, progress io.Writer) (total purge, err error) {
	query := ""
	for {
		var p purge
		if err := askToPurge(ctx, c, path+query, &p, progress); err != nil {
			return total, err
		}
		total = purge{Queue: p.Queue, Cancelled: total.Cancelled + p.Cancelled, Remaining: p.Remaining}
		if p.Remaining == 0 || p.Next == "" {
			return total, nil
		}
		fmt.Fprintf(progress, "%d cancelled, %d remain\n", total.Cancelled, total.Remaining)
		query = "?" + url.Values{"cursor": {p.Next}}.Encode()
	}
}

// purgeTries is how often one question is asked, purgeWait what lies between.
const (
	purgeTries = 30
	purgeWait  = 2 * time.Second
)

// askToPurge asks again where the api is not able to just now: its books are behind a burst of posts, or somebody
// else purges. To ask the same thing twice is harmless.
func askToPurge(ctx context.Context, c *client, path string, out any, progress io.Writer) error {
	for n := 1; ; n++ {
		err := c.ask(ctx, http.MethodPost, path, nil, out)
		p, ok := errors.AsType[*problem](err)
		if !ok || p.Status != http.StatusServiceUnavailable && p.Status != http.StatusTooManyRequests || n == purgeTries {
			return err
		}
		fmt.Fprintf(progress, "%s; asking again\n", p.Detail)
		select {
		case <-time.After(purgeWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
