package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

func newEvents(s *shared) *cobra.Command {
	var (
		follow bool
		at     following
	)
	cmd := &cobra.Command{
		Use:   "events [JOB]",
		Short: "List a job's events, or follow everything with -f",
		Long: "List a job's events, or follow everything with -f: what happens from now on, or since a moment, an age or\n" +
			"behind a sequence. A connection that breaks is taken up where it was.",
		Example: "  tallyman events 01a20074-88e8-7b8e-a543-0b688954ae82\n" +
			"  tallyman events -f --event failed,cancelled --queue media --since 1h",
		Args: maybeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := at.fits(len(args) == 1, follow); err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			path := at.path()
			if len(args) == 1 {
				path = dropEmpty("/jobs/" + url.PathEscape(args[0]) + "/events?" + url.Values{"event": {at.kind}}.Encode())
			}
			if !follow {
				return s.show(cmd, http.MethodGet, path, func(w io.Writer, b []byte) error {
					return writeEvents(w, cmd.ErrOrStderr(), b)
				})
			}
			return c.follow(cmd.Context(), path, at.after, func(e sse) error {
				return s.printEvent(cmd.OutOrStdout(), cmd.ErrOrStderr(), e)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with those that are to come")
	at.flags(cmd)
	return cmd
}

// following is what of the events of all jobs somebody wants to see, and from where on.
type following struct{ queue, jobType, kind, after, since string }

func (q *following) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.queue, "queue", "", "only of these queues, separated by commas")
	f.StringVar(&q.jobType, "type", "", "only of these job types, separated by commas")
	f.StringVar(&q.kind, "event", "", "only of these kinds, like failed,cancelled")
	f.StringVar(&q.after, "after", "", "begin behind this sequence of the stream; 0: the first that is kept")
	f.StringVar(&q.since, "since", "", "begin at this moment, or so long ago, like 10m")
	cmd.MarkFlagsMutuallyExclusive("after", "since")
}

// fits says what is asked for in vain: a job is of one queue and type, and its events are listed from the first.
func (q *following) fits(ofJob, follow bool) error {
	switch {
	case !ofJob && !follow:
		return errors.New("name a job, or follow all of them with -f")
	case ofJob && (q.queue != "" || q.jobType != "" || q.since != ""):
		return errors.New("--queue, --type and --since are for the events of all jobs: leave them out, or leave out the job and follow all with -f")
	case q.after != "" && !follow:
		return errors.New("--after says where to begin to follow: add -f, or leave it out for all events of the job")
	}
	return nil
}

func (q *following) path() string {
	return dropEmpty("/jobs/events?" + url.Values{
		"queue": {q.queue}, "type": {q.jobType}, "event": {q.kind}, "since": {q.since},
	}.Encode())
}

// dropEmpty takes filters without a value out of a query.
func dropEmpty(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	v := u.Query()
	for key, list := range v {
		if list[0] == "" {
			v.Del(key)
		}
	}
	u.RawQuery = v.Encode()
	return u.String()
}

func (s *shared) printEvent(w, diag io.Writer, e sse) error {
	switch e.event {
	case "end": // of the one job that is followed
		return errEnough
	case "progress":
		return nil
	case "gap", "lagged": // the client goes on by itself
		fmt.Fprintln(diag, "tallyman:", e.about())
		return nil
	}
	if s.output == "json" {
		_, err := fmt.Fprintln(w, e.data)
		return err
	}
	ev, err := contract.DecodeEvent([]byte(e.data))
	if err != nil {
		return nil // a kind that this build does not know
	}
	_, err = fmt.Fprintln(w, eventLine(e.id, &ev))
	return err
}

// about is what the api says of the stream itself.
func (e *sse) about() string {
	var a struct {
		Detail     string `json:"detail"`
		From, To   uint64
		ResumeFrom uint64 `json:"resumeFrom"`
	}
	if err := json.Unmarshal([]byte(e.data), &a); err != nil {
		return e.event
	}
	switch {
	case a.From > 0:
		return fmt.Sprintf("%s: %d to %d: %s", e.event, a.From, a.To, a.Detail)
	case a.ResumeFrom > 0:
		return fmt.Sprintf("%s: %s; goes on behind %d", e.event, a.Detail, a.ResumeFrom)
	}
	return e.event + ": " + a.Detail
}

func eventLine(seq string, e *contract.Event) string {
	about := e.JobID
	if e.Kind.OfUnit() {
		about = e.Unit
	}
	line := fmt.Sprintf("%-7s %s  %-17s %s  %s/%s", seq, e.Time, e.Kind, about, e.Queue, e.Type)
	if e.Attempt > 0 {
		line += fmt.Sprintf("  attempt %d", e.Attempt)
	}
	if e.Run > 1 {
		line += fmt.Sprintf("  run %d", e.Run)
	}
	if e.Reason != "" {
		line += "  " + string(e.Reason)
	}
	if e.Message != "" {
		line += ": " + firstLine(e.Message)
	}
	return line + "  [" + string(e.Source) + "]"
}

// writeEvents prints a line for each event; that there are more than the api gives at once is no event.
func writeEvents(w, diag io.Writer, b []byte) error {
	var list struct {
		Events []struct {
			Seq   uint64          `json:"seq"`
			Event json.RawMessage `json:"event"`
		} `json:"events"`
		More int `json:"more"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, e := range list.Events {
		ev, err := contract.DecodeEvent(e.Event)
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		fmt.Fprintln(w, eventLine(strconv.FormatUint(e.Seq, 10), &ev))
	}
	if list.More > 0 {
		fmt.Fprintf(diag, "tallyman: and %d more\n", list.More)
	}
	return nil
}

func newLogs(s *shared) *cobra.Command {
	var run, attempt int
	cmd := &cobra.Command{
		Use: "logs JOB", Short: "Print the end of an attempt's output", Args: oneJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			v := url.Values{}
			if run > 0 {
				v.Set("run", strconv.Itoa(run))
			}
			if attempt > 0 {
				v.Set("attempt", strconv.Itoa(attempt))
			}
			path := "/jobs/" + url.PathEscape(args[0]) + "/logs"
			if len(v) > 0 {
				path += "?" + v.Encode()
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			b, err := c.raw(cmd.Context(), http.MethodGet, path, nil, nil)
			if err != nil {
				return err
			}
			if s.output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"output": string(b)})
			}
			out := cmd.OutOrStdout()
			_, watched := terminal(out)
			return writeOutput(out, b, watched)
		},
	}
	cmd.Flags().IntVar(&run, "run", 0, "of this run (the newest)")
	cmd.Flags().IntVar(&attempt, "attempt", 0, "of this attempt (the newest)")
	return cmd
}

// writeOutput prints what a job wrote: byte for byte into a file or another program, but on a terminal nothing that
// this would obey.
func writeOutput(out io.Writer, b []byte, watched bool) error {
	if out = asIs(out); watched {
		out, b = guarded{out}, bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	}
	_, err := out.Write(b)
	return err
}
