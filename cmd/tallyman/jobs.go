package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

// job is what GET /jobs/{id} and GET /jobs answer, as far as it is shown.
type job struct {
	JobID       string          `json:"jobId"`
	Queue       string          `json:"queue"`
	Type        string          `json:"type"`
	State       contract.State  `json:"state"`
	Reason      contract.Reason `json:"reason"`
	Message     string          `json:"message"`
	Run         int             `json:"run"`
	Attempt     int             `json:"attempt"`
	SubmittedAt contract.Time   `json:"submittedAt"`
	UpdatedAt   contract.Time   `json:"updatedAt"`
	EndedAt     contract.Time   `json:"endedAt"`
	Submitter   string          `json:"submitter"`
	Result      json.RawMessage `json:"result"`
	Attempts    []attempt       `json:"attempts"`
	Rerun       *rerun          `json:"rerun"`
}

type rerun struct {
	Run    int                 `json:"run"`
	At     contract.Time       `json:"at"`
	Source contract.TaskSource `json:"source"`
	Number int                 `json:"number"`
	Most   int                 `json:"most"`
}

type attempt struct {
	Run       int             `json:"run"`
	Attempt   int             `json:"attempt"`
	ClaimedAt contract.Time   `json:"claimedAt"`
	StartedAt contract.Time   `json:"startedAt"`
	EndedAt   contract.Time   `json:"endedAt"`
	Ending    contract.Ending `json:"ending"`
	Reason    contract.Reason `json:"reason"`
	ExitCode  *int            `json:"exitCode"`
	Message   string          `json:"message"`
}

// oneJob takes the id of a job. What can be none is said here: the api could only say that there is no such path.
func oneJob(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one job: %s", cmd.UseLine())
	}
	return maybeJob(cmd, args)
}

func maybeJob(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("name one job: %s", cmd.UseLine())
	case len(args) == 1 && !contract.ValidJobID(args[0]):
		return fmt.Errorf("%q is no job's id, which is a UUID in lower case: `tallyman list` shows them", args[0])
	}
	return nil
}

func newGet(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "get JOB", Short: "See a job and its attempts", Args: oneJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.show(cmd, http.MethodGet, "/jobs/"+url.PathEscape(args[0]), func(w io.Writer, b []byte) error {
				var j job
				if err := json.Unmarshal(b, &j); err != nil {
					return err
				}
				return writeJob(w, &j)
			})
		},
	}
}

// show asks, and prints the api's own JSON or what text makes of it.
func (s *shared) show(cmd *cobra.Command, method, path string, text func(io.Writer, []byte) error) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	b, err := c.raw(cmd.Context(), method, path, nil, nil)
	if err != nil {
		return err
	}
	if s.output == "json" {
		return s.print(cmd.OutOrStdout(), b, "")
	}
	return text(cmd.OutOrStdout(), b)
}

func writeJob(w io.Writer, j *job) error {
	fmt.Fprintf(w, "job        %s\ntype       %s\nqueue      %s\nstate      %s\n", j.JobID, j.Type, j.Queue, withReason(string(j.State), j.Reason))
	if j.Message != "" {
		fmt.Fprintf(w, "message    %s\n", firstLine(j.Message))
	}
	fmt.Fprintf(w, "submitted  %s by %s\n", j.SubmittedAt, j.Submitter)
	if !j.EndedAt.IsZero() {
		fmt.Fprintf(w, "ended      %s, after %.1fs\n", j.EndedAt, j.EndedAt.Sub(j.SubmittedAt.Time).Seconds())
	}
	if r := j.Rerun; r != nil {
		fmt.Fprintf(w, "rerun      run %d, not before %s (%s %d of %d)\n", r.Run, r.At, r.Source, r.Number, r.Most)
	}
	if len(j.Attempts) > 0 {
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "\nRUN\tATTEMPT\tENDING\tEXIT\tSTARTED\tTOOK\tMESSAGE")
		for _, a := range j.Attempts {
			fmt.Fprintln(tw, a.row())
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	if j.Result != nil {
		fmt.Fprintf(w, "\nresult     %s\n", j.Result)
	}
	return nil
}

func (a *attempt) row() string {
	ending, code, took := string(a.Ending), "", ""
	if ending == "" {
		ending = "running"
	}
	if a.ExitCode != nil {
		code = strconv.Itoa(*a.ExitCode)
	}
	if !a.StartedAt.IsZero() && !a.EndedAt.IsZero() {
		took = fmt.Sprintf("%.1fs", a.EndedAt.Sub(a.StartedAt.Time).Seconds())
	}
	started := ""
	if !a.StartedAt.IsZero() {
		started = a.StartedAt.Format("15:04:05")
	}
	return strings.Join([]string{
		strconv.Itoa(a.Run), strconv.Itoa(a.Attempt), withReason(ending, a.Reason), code, started, took, firstLine(a.Message),
	}, "\t")
}

func withReason(word string, r contract.Reason) string {
	if r == "" {
		return word
	}
	return word + " (" + string(r) + ")"
}

func newList(s *shared) *cobra.Command {
	var q listQuery
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.show(cmd, http.MethodGet, "/jobs?"+q.encode(), func(w io.Writer, b []byte) error {
				var page struct {
					Jobs []job  `json:"jobs"`
					Next string `json:"next"`
				}
				if err := json.Unmarshal(b, &page); err != nil {
					return err
				}
				if page.Next != "" {
					defer fmt.Fprintf(cmd.ErrOrStderr(), "more: --cursor %s\n", page.Next)
				}
				return writeJobs(w, page.Jobs)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.state, "state", "", "only jobs in this state")
	f.StringVar(&q.jobType, "type", "", "only jobs of this type")
	f.StringVar(&q.queue, "queue", "", "only jobs of this queue")
	f.IntVar(&q.limit, "limit", 50, "how many, at most 200")
	f.StringVar(&q.cursor, "cursor", "", "go on where the page before ended")
	return cmd
}

type listQuery struct {
	state, jobType, queue, cursor string
	limit                         int
}

func (q *listQuery) encode() string {
	v := url.Values{"limit": {strconv.Itoa(q.limit)}}
	for key, value := range map[string]string{"state": q.state, "type": q.jobType, "queue": q.queue, "cursor": q.cursor} {
		if value != "" {
			v.Set(key, value)
		}
	}
	return v.Encode()
}

func writeJobs(w io.Writer, jobs []job) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "JOB\tTYPE\tQUEUE\tSTATE\tRUN\tATTEMPT\tSUBMITTED\tMESSAGE")
	for _, j := range jobs {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", j.JobID, j.Type, j.Queue,
			withReason(string(j.State), j.Reason), j.Run, j.Attempt, j.SubmittedAt, firstLine(j.Message))
	}
	return tw.Flush()
}

func newCancel(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB", Short: "Cancel a job, queued or running, or the rerun of a failed one", Args: oneJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.show(cmd, http.MethodDelete, "/jobs/"+url.PathEscape(args[0]), func(w io.Writer, b []byte) error {
				var a struct {
					State           contract.State `json:"state"`
					CancelRequested bool           `json:"cancelRequested"`
				}
				if err := json.Unmarshal(b, &a); err != nil {
					return err
				}
				if a.CancelRequested {
					_, err := fmt.Fprintln(w, "it runs, and was asked to stop")
					return err
				}
				_, err := fmt.Fprintln(w, a.State)
				return err
			})
		},
	}
}

func newRequeue(s *shared) *cobra.Command {
	var run int
	cmd := &cobra.Command{
		Use: "requeue JOB", Short: "Run an ended job again, as its next run", Args: oneJob,
		Long: "Make the next run of a job that has ended. The run that is to be followed is named, so that a repeat of\n" +
			"the same command line with --run makes no second one.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			path := "/jobs/" + url.PathEscape(args[0])
			if run == 0 { // the newest that this client has seen: a retry of the request below names it still
				var j job
				if err := c.ask(cmd.Context(), http.MethodGet, path, nil, &j); err != nil {
					return err
				}
				run = j.Run
			}
			b, err := c.raw(cmd.Context(), http.MethodPost, path+"/requeue", map[string]int{"run": run}, nil)
			if err != nil {
				return err
			}
			var r receipt
			if err := json.Unmarshal(b, &r); err != nil {
				return err
			}
			return s.print(cmd.OutOrStdout(), b, fmt.Sprintf("%s  %s\n", r.JobID, r.State))
		},
	}
	cmd.Flags().IntVar(&run, "run", 0, "the run that is to be followed (the newest)")
	return cmd
}
