package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

func newStats(s *shared) *cobra.Command {
	var (
		part   statsPart
		follow bool
	)
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "What all jobs, or some of them, add up to",
		Long: "What jobs add up to: all of them, those of a queue or a type, what happened in a time, or as it was at a past\n" +
			"moment. A time is like 2026-11-21T16:00:00Z, or so long ago, like 90m or 7d.",
		Example: "  tallyman stats --queue media --since 7d --step day\n  tallyman stats --at 2026-11-21T16:00:00Z\n  tallyman stats -f",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !follow {
				return s.show(cmd, http.MethodGet, part.path(), showStats)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			return c.follow(cmd.Context(), part.path(), "", func(e sse) error {
				if s.output == "json" {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), e.data)
					return err
				}
				if err := showStats(cmd.OutOrStdout(), []byte(e.data)); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout())
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&part.queue, "queue", "", "only jobs of this queue")
	f.StringVar(&part.jobType, "type", "", "only jobs of this type")
	f.StringVar(&part.since, "since", "", "what happened from this time on")
	f.StringVar(&part.until, "until", "", "what happened up to this time")
	f.StringVar(&part.step, "step", "", "also one by one: minute, hour or day")
	f.StringVar(&part.at, "at", "", "as it was at this time, or when the event with this sequence had been counted")
	f.BoolVarP(&follow, "follow", "f", false, "show them again whenever they have changed")
	cmd.MarkFlagsMutuallyExclusive("at", "follow")
	return cmd
}

// statsPart is which part of the books somebody wants to see.
type statsPart struct{ queue, jobType, since, until, step, at string }

func (p *statsPart) path() string {
	v := url.Values{}
	for key, value := range map[string]string{
		"queue": p.queue, "type": p.jobType, "since": p.since, "until": p.until, "step": p.step, "at": p.at,
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if len(v) == 0 {
		return "/jobs/stats"
	}
	return "/jobs/stats?" + v.Encode()
}

func showStats(w io.Writer, b []byte) error {
	var st contract.Stats
	if err := json.Unmarshal(b, &st); err != nil {
		return err
	}
	return writeStats(w, &st)
}

// writeStats shows the books for people: states that add up, attempts, failures, waste, latencies, windows.
func writeStats(w io.Writer, st *contract.Stats) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "succeedJob %d\tjobRetry %d\tfailedJob %d\t%s\t%s\n\n", st.SucceedJob, st.JobRetry, st.FailedJob, balancedWord(st), windowWords(st))
	fmt.Fprintln(tw, "\tSUBMITTED\tACCEPTED\tQUEUED\tRUNNING\tRETRYING\tSUCCEEDED\tFAILED\tCANCELLED")
	row := func(name string, c contract.JobCounts) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", name, c.Submitted, c.Accepted, c.Queued, c.Running,
			c.Retrying, c.Succeeded, c.Failed, c.Cancelled)
	}
	row("jobs", st.Jobs)
	for _, name := range slices.Sorted(maps.Keys(st.ByType)) {
		row("  "+name, st.ByType[name].Jobs)
	}
	a := st.Attempts
	fmt.Fprintf(tw, "\nattempts\t%d\trunning %d\tsucceeded %d\tfailed %d\tdisrupted %d\tsecond tries %d\n",
		a.Total, a.Running, a.Succeeded, a.Failed, a.Disrupted, a.Second)
	for _, r := range contract.Reasons() {
		if n := st.Failures[r]; n > 0 {
			fmt.Fprintf(tw, "  %s\t%d\n", r, n)
		}
	}
	writeWaste(tw, &st.Waste)
	fmt.Fprintln(tw, "\nseconds\tCOUNT\tP50\tP95\tP99\tMAX")
	for i := range contract.Stages {
		if l := st.Latency.Of(i); l.Count > 0 || i != contract.StageUnit && i != contract.StageBoot {
			fmt.Fprintf(tw, "  %s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\n", i, l.Count, l.P50, l.P95, l.P99, l.Max)
		}
	}
	writeSeries(tw, st.Series)
	return tw.Flush()
}

func writeWaste(w io.Writer, waste *contract.Waste) {
	fmt.Fprintf(w, "waste\t%.1f s\tbeside %.1f s of work\t", waste.AttemptSeconds, waste.WorkSeconds)
	if waste.Known > 0 {
		fmt.Fprintf(w, "%.1f core s\t%d MiB s\tof %d attempts", waste.CPUSeconds, waste.MemoryMiBSeconds, waste.Known)
	}
	fmt.Fprintln(w)
}

func writeSeries(w io.Writer, series []contract.Point) {
	if len(series) == 0 {
		return
	}
	fmt.Fprintln(w, "\nfrom\tOF A\tSUBMITTED\tSUCCEEDED\tRETRIED\tFAILED\tWASTE S\tP95 OVERALL")
	for i := range series {
		p := &series[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%.1f\t%.3f\n", p.At.Format("2006-01-02 15:04"), p.Span, p.Submitted, p.SucceedJob,
			p.JobRetry, p.FailedJob-p.JobRetry, p.Waste.AttemptSeconds, p.Overall.P95)
	}
}

// windowWords says which time the books are of, where that is not all of it.
func windowWords(st *contract.Stats) string {
	if st.Window == nil {
		return ""
	}
	until := "now"
	if !st.Window.Until.IsZero() {
		until = st.Window.Until.Format("2006-01-02 15:04")
	}
	if st.Window.Since.IsZero() {
		return "until " + until
	}
	return st.Window.Since.Format("2006-01-02 15:04") + " to " + until
}

func balancedWord(st *contract.Stats) string {
	if st.Balanced {
		return "balanced"
	}
	b := st.Balance
	gap := "none"
	if b.Gap {
		gap = fmt.Sprintf("%d events of %d to %d, see the runbook", b.Missing, b.GapAt, b.GapTo)
	}
	return fmt.Sprintf("NOT BALANCED (orphans %d, off %d, gap: %s)", b.Orphans, b.Off, gap)
}
