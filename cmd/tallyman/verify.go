package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

const (
	// verifyTimeout is longer than the api takes for one audit.
	verifyTimeout = 90 * time.Second
	// verifyAgain is between two audits, while something is pending.
	verifyAgain = 2 * time.Second
)

func newVerify(s *shared) *cobra.Command {
	var (
		last, strict bool
		wait         time.Duration
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Hold the books to the stream, to SQS and to Kubernetes",
		Long: "Audit now: the ledger against a replay of the stream, byte for byte; against what SQS counts; against claims and\n" +
			"Kubernetes Jobs. Whatever does not fit is named, with what to do. What may be under way is looked at again before it\n" +
			"is named: --wait says for how long; what is pending then is named by the scheduler's own audits in time.\n\n" +
			"Exit code 0: everything that was compared fits; a `remark` says what was not compared though nothing is wrong: a log that\n" +
			"is longer than an audit replays, or of which the oldest events have aged out. 1: something does not fit, or could not\n" +
			"be looked at; with --strict also where anything was not compared.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			c.timeout = verifyTimeout
			r, b, err := verify(cmd.Context(), c, last, wait)
			if err != nil {
				return err
			}
			if s.output == "json" {
				err = s.print(cmd.OutOrStdout(), b, "")
			} else {
				err = writeAudit(cmd.OutOrStdout(), &r)
			}
			if err == nil && (!r.Clean() || strict && len(r.Remarks) > 0) {
				return &exit{code: exitBad}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&last, "last", false, "show the last audit of the scheduler's leader")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 1 also where a remark says that something was not compared")
	cmd.Flags().DurationVar(&wait, "wait", 0, "audit again for so long while something is pending")
	return cmd
}

// verify audits until nothing is pending, or as long as it may.
func verify(ctx context.Context, c *client, last bool, wait time.Duration) (r contract.AuditReport, b []byte, err error) {
	method, until := http.MethodPost, time.Now().Add(wait)
	if last {
		method = http.MethodGet
	}
	for {
		if b, err = c.raw(ctx, method, "/audit", nil, nil); err != nil {
			return r, nil, err
		}
		r = contract.AuditReport{}
		if err := json.Unmarshal(b, &r); err != nil {
			return r, nil, err
		}
		if last || r.Pending == 0 || !time.Now().Add(verifyAgain).Before(until) {
			return r, b, nil
		}
		select {
		case <-ctx.Done():
			return r, nil, ctx.Err()
		case <-time.After(verifyAgain):
		}
	}
}

// writeAudit shows a report for people: what was looked at, then each thing that does not fit and what to do.
func writeAudit(w io.Writer, r *contract.AuditReport) error {
	fmt.Fprintf(w, "unaccounted %d\tas of event %d, audited %s in %.1f s\n", r.Unaccounted, r.AsOf.Seq, r.At, r.Took)
	fmt.Fprintf(w, "looked at %d events from %d on, %d documents, %d claim records\n", r.Looked.Events, r.Looked.From, r.Looked.Documents, r.Looked.Claims)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Queues) > 0 {
		fmt.Fprintln(tw, "\nQUEUE\tWAITING\tVISIBLE\tIN FLIGHT\tDELAYED\tDEAD LETTER")
	}
	for _, q := range r.Queues {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\n", q.Queue, q.Waiting, q.Visible, q.InFlight, q.Delayed, q.DeadLetter)
	}
	if len(r.Clusters) > 0 {
		fmt.Fprintln(tw, "\nCLUSTER\tKUBERNETES JOBS\tTOLD")
	}
	for _, u := range r.Clusters {
		fmt.Fprintf(tw, "%s\t%d\t%s\n", u.Cluster, u.Units, u.At)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintf(w, "\n%s: %s (seen first %s)\n", f.Kind, f.Says, f.Since)
		for _, id := range f.Jobs {
			fmt.Fprintf(w, "  among: %s\n", id)
		}
		fmt.Fprintf(w, "  do: %s\n", f.Do)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "\nand %d more\n", r.More)
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(w, "\nnot looked at: %s\n", u)
	}
	for _, remark := range r.Remarks {
		fmt.Fprintf(w, "\nremark: %s\n", remark)
	}
	if r.Pending > 0 {
		fmt.Fprintf(w, "\n%d things did not fit but may be under way; `tallyman verify --wait 5m` looks again\n", r.Pending)
	}
	return nil
}
