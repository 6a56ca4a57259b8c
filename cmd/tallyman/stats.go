package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

func newStats(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "What all jobs add up to", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.show(cmd, http.MethodGet, "/jobs/stats", func(w io.Writer, b []byte) error {
				var st contract.Stats
				if err := json.Unmarshal(b, &st); err != nil {
					return err
				}
				return writeStats(w, &st)
			})
		},
	}
}

// writeStats shows the books for people: states that add up, attempts, failures, latencies.
func writeStats(w io.Writer, st *contract.Stats) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "succeedJob %d\tjobRetry %d\tfailedJob %d\t%s\n\n", st.SucceedJob, st.JobRetry, st.FailedJob, balancedWord(st))
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
	fmt.Fprintln(tw, "\nseconds\tCOUNT\tP50\tP95\tP99\tMAX")
	l := st.Latency
	for _, stage := range []struct {
		name string
		l    contract.Latency
	}{{"queue", l.Queue}, {"claim", l.Claim}, {"start", l.Start}, {"work", l.Work}, {"overall", l.Overall}} {
		fmt.Fprintf(tw, "  %s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\n", stage.name, stage.l.Count, stage.l.P50, stage.l.P95, stage.l.P99, stage.l.Max)
	}
	return tw.Flush()
}

func balancedWord(st *contract.Stats) string {
	if st.Balanced {
		return "balanced"
	}
	b := st.Balance
	return fmt.Sprintf("NOT BALANCED (orphans %d, off %d, gap %v)", b.Orphans, b.Off, b.Gap)
}
