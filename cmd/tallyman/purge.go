package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

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
			"does a failed job that would run again by itself. Without --yes nothing is cancelled: it says how many would be.",
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
				return fmt.Errorf("%w; %d jobs were cancelled before that, the same command goes on", err, total.Cancelled)
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
	b, err := c.raw(cmd.Context(), http.MethodPost, path+"?limit=0", nil, nil)
	if err != nil {
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
		if err := c.ask(ctx, http.MethodPost, path+query, nil, &p); err != nil {
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
