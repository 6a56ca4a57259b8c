package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

func newExplain(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "explain JOB", Short: "Say where a job is, what it waits for, and what to do", Args: oneJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.show(cmd, http.MethodGet, "/jobs/"+url.PathEscape(args[0])+"/explain", func(w io.Writer, b []byte) error {
				var x contract.Explanation
				if err := json.Unmarshal(b, &x); err != nil {
					return err
				}
				return writeExplanation(w, &x)
			})
		},
	}
}

// writeExplanation says it as one would to a colleague: the sentence, what to do, then what it rests on.
func writeExplanation(w io.Writer, x *contract.Explanation) error {
	fmt.Fprintln(w, x.Sentence)
	for _, n := range x.Next {
		fmt.Fprintln(w, "→ "+n)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(x.Evidence) > 0 {
		fmt.Fprintln(tw)
	}
	for _, e := range x.Evidence {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", e.Source, ageOf(&e), e.Says)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, a := range x.Attempts {
		fmt.Fprintf(w, "\n%s\n", attemptLine(&a))
		for line := range strings.Lines(lastLines(a.Tail, 5)) {
			fmt.Fprintf(w, "    %s\n", strings.TrimRight(line, "\r\n"))
		}
	}
	return nil
}

// ageOf is how old evidence is; a dash where it has no age.
func ageOf(e *contract.Evidence) string {
	if e.At.IsZero() {
		return "-"
	}
	switch d := time.Duration(e.AgeSeconds * float64(time.Second)); {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	default:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
}

func attemptLine(a *contract.AttemptOf) string {
	s := fmt.Sprintf("run %d, attempt %d: ", a.Run, a.Attempt)
	if a.Ending == contract.EndingNone {
		return s + "at work"
	}
	s += withReason(string(a.Ending), a.Reason)
	if a.ExitCode != nil {
		s += fmt.Sprintf(", exit code %d", *a.ExitCode)
	}
	if !a.StartedAt.IsZero() && !a.EndedAt.IsZero() {
		s += fmt.Sprintf(", after %.1fs", a.EndedAt.Sub(a.StartedAt.Time).Seconds())
	}
	if a.Message != "" {
		s += ": " + firstLine(a.Message)
	}
	return s
}

// lastLines is the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
