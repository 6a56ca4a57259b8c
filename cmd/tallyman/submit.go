package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

// post is the body of POST /jobs.
type post struct {
	Type           string          `json:"type,omitempty"`
	Queue          string          `json:"queue,omitempty"`
	Payload        json.RawMessage `json:"payload,omitempty"`
	Tags           []string        `json:"tags,omitempty"`
	DelaySeconds   int             `json:"delaySeconds,omitempty"`
	TimeoutSeconds int             `json:"timeoutSeconds,omitempty"`
}

// receipt is its answer.
type receipt struct {
	JobID string         `json:"jobId"`
	State contract.State `json:"state"`
}

func newSubmit(s *shared) *cobra.Command {
	var (
		p              post
		payload, key   string
		delay, timeout time.Duration
		wait           bool
	)
	cmd := &cobra.Command{
		Use:   "submit [TYPE]",
		Short: "Post a job, and with --wait see it through",
		Long: "Post a job. With --wait its life is shown line by line, and the exit code is 0 when it succeeded,\n" +
			"1 when it failed, 3 when it was cancelled, 130 when the waiting was interrupted, which leaves the job alone.",
		Example: "  tallyman submit --wait\n" +
			"  tallyman submit probe --payload '{\"target\":\"127.0.0.1\",\"duration\":\"3\"}' --wait\n" +
			"  tallyman submit process-data --payload @job.json --key order-4711",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				p.Type = args[0]
			}
			if len(args) == 1 && strings.TrimSpace(p.Type) == "" { // the api would take its own
				return errors.New("TYPE is given but empty: name one, or leave it out")
			}
			var err error
			if p.Payload, err = readPayload(payload, cmd.InOrStdin()); err != nil {
				return err
			}
			if p.DelaySeconds, err = wholeSeconds("--delay", delay); err != nil {
				return err
			}
			if p.TimeoutSeconds, err = wholeSeconds("--timeout", timeout); err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			return s.submit(cmd, c, p, key, wait)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&payload, "payload", "p", "", "the payload: JSON, @FILE, or - for standard input")
	f.StringVarP(&p.Queue, "queue", "q", "", "the queue (the api's default)")
	f.StringSliceVar(&p.Tags, "tag", nil, "a tag; may be given several times")
	f.DurationVar(&delay, "delay", 0, "begin no sooner than after this, at most 15m, in whole seconds")
	f.DurationVar(&timeout, "timeout", 0, "stop an attempt that takes longer, in whole seconds")
	f.StringVar(&key, "key", "", "Idempotency-Key: the same key is the same job")
	f.BoolVarP(&wait, "wait", "w", false, "show the job's life and wait for its end")
	return cmd
}

func (s *shared) submit(cmd *cobra.Command, c *client, p post, key string, wait bool) error {
	header := http.Header{}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	b, err := c.raw(cmd.Context(), http.MethodPost, "/jobs", p, header)
	if err != nil {
		return err
	}
	var r receipt
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("POST /jobs: the answer is not what was expected: %w", err)
	}
	out := cmd.OutOrStdout()
	if !wait {
		return s.print(out, b, fmt.Sprintf("%s  %s\n", r.JobID, r.State))
	}
	enc := json.NewEncoder(out)
	state, err := c.followJob(cmd.Context(), r.JobID, func(l life) {
		if s.output == "json" {
			_ = enc.Encode(l)
			return
		}
		fmt.Fprintln(out, l.line())
	})
	if err != nil {
		return interrupted(cmd.Context(), err, fmt.Sprintf("job %s goes on; `tallyman get %s` says how it is", r.JobID, r.JobID))
	}
	return exitOf(state)
}

// wholeSeconds is what the api takes; a part of one would be dropped in silence.
func wholeSeconds(flag string, d time.Duration) (int, error) {
	if d < 0 || d%time.Second != 0 {
		return 0, fmt.Errorf("%s %s must be whole seconds, like %s", flag, d, max(time.Second, d.Round(time.Second)))
	}
	return int(d / time.Second), nil
}

// readPayload takes JSON from the argument, a file or standard input.
func readPayload(arg string, in io.Reader) (json.RawMessage, error) {
	var b []byte
	var err error
	switch {
	case arg == "":
		return nil, nil
	case arg == "-":
		b, err = io.ReadAll(io.LimitReader(in, contract.MaxPayloadBytes+1))
	case strings.HasPrefix(arg, "@"):
		b, err = os.ReadFile(arg[1:])
	default:
		b = []byte(arg)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("--payload: %w", err)
	case len(b) > contract.MaxPayloadBytes:
		return nil, fmt.Errorf("--payload: %d bytes, at most %d are allowed; store the data and pass a reference", len(b), contract.MaxPayloadBytes)
	case !json.Valid(b):
		return nil, errors.New("--payload: not one JSON value")
	}
	return b, nil
}

// print writes the api's own JSON, or text.
func (s *shared) print(w io.Writer, raw []byte, text string) error {
	if s.output == "json" {
		text = strings.TrimRight(string(raw), "\n") + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
