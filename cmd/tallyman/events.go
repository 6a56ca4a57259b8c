package main

import (
	"encoding/json"
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
		follow                  bool
		queue, jobType, kind, q string
	)
	cmd := &cobra.Command{
		Use:   "events [JOB]",
		Short: "List a job's events, or follow everything with -f",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !follow {
				return fmt.Errorf("name a job, or follow all of them with -f")
			}
			if len(args) == 1 && !follow {
				return s.show(cmd, http.MethodGet, "/jobs/"+url.PathEscape(args[0])+"/events", writeEvents)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			path := "/jobs/events?" + url.Values{"queue": {queue}, "type": {jobType}, "event": {kind}}.Encode()
			if len(args) == 1 {
				path = "/jobs/" + url.PathEscape(args[0]) + "/events"
			}
			return c.follow(cmd.Context(), dropEmpty(path), q, func(e sse) error {
				return s.printEvent(cmd.OutOrStdout(), e)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with those that are to come")
	f.StringVar(&queue, "queue", "", "only of this queue")
	f.StringVar(&jobType, "type", "", "only of this job type")
	f.StringVar(&kind, "event", "", "only of this kind, like failed")
	f.StringVar(&q, "after", "", "begin behind this sequence of the stream")
	return cmd
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

func (s *shared) printEvent(w io.Writer, e sse) error {
	if s.output == "json" {
		_, err := fmt.Fprintln(w, e.data)
		return err
	}
	ev, err := contract.DecodeEvent([]byte(e.data))
	if err != nil {
		return endOr(e)
	}
	_, err = fmt.Fprintln(w, eventLine(e.id, &ev))
	return err
}

// endOr ends the following of one job; progress and heartbeats are passed over.
func endOr(e sse) error {
	if e.event == "end" {
		return errEnough
	}
	return nil
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

func writeEvents(w io.Writer, b []byte) error {
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
		fmt.Fprintf(w, "and %d more\n", list.More)
	}
	return nil
}

func newLogs(s *shared) *cobra.Command {
	var run, attempt int
	cmd := &cobra.Command{
		Use: "logs JOB", Short: "Print the end of an attempt's output", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v := url.Values{}
			if run > 0 {
				v.Set("run", strconv.Itoa(run))
			}
			if attempt > 0 {
				v.Set("attempt", strconv.Itoa(attempt))
			}
			path := "/jobs/" + url.PathEscape(args[0]) + "/logs?" + v.Encode()
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
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
	cmd.Flags().IntVar(&run, "run", 0, "of this run (the newest)")
	cmd.Flags().IntVar(&attempt, "attempt", 0, "of this attempt (the newest)")
	return cmd
}
