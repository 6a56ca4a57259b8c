package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

// hook is what GET /webhooks answers of a webhook, as far as it is shown.
type hook struct {
	Name      string                   `json:"name"`
	Host      string                   `json:"host"`
	State     string                   `json:"state"`
	Seq       uint64                   `json:"seq"`
	Behind    uint64                   `json:"behind"`
	Delivered uint64                   `json:"delivered"`
	SetAside  uint64                   `json:"setAside"`
	Aside     []uint64                 `json:"aside"`
	Missing   uint64                   `json:"missing"`
	LastAt    contract.Time            `json:"lastAt"`
	Failing   *contract.WebhookFailure `json:"failing"`
	Replay    *struct {
		From uint64 `json:"from"`
	} `json:"replay"`
}

func newWebhooks(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhooks", Short: "Who is told of events, and how far each has come", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.show(cmd, http.MethodGet, "/webhooks", func(w io.Writer, b []byte) error {
				var list struct{ Webhooks []hook }
				if err := json.Unmarshal(b, &list); err != nil {
					return err
				}
				return writeHooks(w, list.Webhooks)
			})
		},
	}
	cmd.AddCommand(newReplay(s))
	return cmd
}

func writeHooks(w io.Writer, hooks []hook) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WEBHOOK\tHOST\tSTATE\tUP TO\tBEHIND\tDELIVERED\tSET ASIDE\tLAST")
	for _, h := range hooks {
		last := ""
		if !h.LastAt.IsZero() {
			last = h.LastAt.String()
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", h.Name, h.Host, h.State, h.Seq, h.Behind, h.Delivered, h.SetAside, last)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, h := range hooks {
		if f := h.Failing; f != nil {
			fmt.Fprintf(w, "\n%s: event %d is refused since %s, %d times: %s; tried again at %s\n", h.Name, f.Seq, f.Since, f.Tries, f.Detail, f.NextAt)
		}
		if len(h.Aside) > 0 {
			fmt.Fprintf(w, "\n%s: set aside: %s\n", h.Name, strings.Trim(fmt.Sprint(h.Aside), "[]"))
		}
		if h.Missing > 0 {
			fmt.Fprintf(w, "\n%s: %d events were no longer kept when their turn came\n", h.Name, h.Missing)
		}
		if h.Replay != nil {
			fmt.Fprintf(w, "\n%s: is asked to go on from %d\n", h.Name, h.Replay.From)
		}
	}
	return nil
}

func newReplay(s *shared) *cobra.Command {
	var (
		from  uint64
		since string
	)
	cmd := &cobra.Command{
		Use: "replay WEBHOOK", Short: "Let a webhook go on from another place", Args: cobra.ExactArgs(1),
		Long: "Let a webhook go on from an earlier place, and events are delivered again; or from a later one, and what\n" +
			"lies between is passed over.",
		Example: "  tallyman webhooks replay billing --from 4711\n" +
			"  tallyman webhooks replay billing --since 2h\n" +
			"  tallyman webhooks replay billing --since 0s   # only what is to come",
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"from": from}
			switch {
			case from == 0 && since == "":
				return errors.New("say from where: --from SEQUENCE or --since 1h")
			case since != "":
				body = map[string]any{"since": since}
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			b, err := c.raw(cmd.Context(), http.MethodPost, "/webhooks/"+url.PathEscape(args[0])+"/replay", body, nil)
			if err != nil {
				return err
			}
			var r struct{ From uint64 }
			if err := json.Unmarshal(b, &r); err != nil {
				return err
			}
			return s.print(cmd.OutOrStdout(), b, fmt.Sprintf("%s goes on from %d\n", args[0], r.From))
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "the first sequence to be delivered")
	cmd.Flags().StringVar(&since, "since", "", "what was said since this moment, or so long ago, like 2h")
	cmd.MarkFlagsMutuallyExclusive("from", "since")
	return cmd
}
