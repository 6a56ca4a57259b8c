package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

// doctorAgain is between two questions while something is not right.
const doctorAgain = 2 * time.Second

func newDoctor(s *shared) *cobra.Command {
	var (
		tools bool
		wait  time.Duration
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say of everything that is needed whether it is right",
		Long: "Ask every component what it depends on: each dependency, right, setting, version and lag is a line, `ok` or `FAIL`\n" +
			"with what to do. With --tools, look at this machine instead: the programs and variables that the guides use.\n\n" +
			"Exit code 0: all is right. 1: something is not.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tools {
				return s.showDiagnosis(cmd.OutOrStdout(), thisMachine())
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			d, err := c.diagnosis(cmd.Context(), time.Now().Add(wait))
			if err != nil {
				return err
			}
			return s.showDiagnosis(cmd.OutOrStdout(), d)
		},
	}
	cmd.Flags().BoolVar(&tools, "tools", false, "look at this machine's programs and variables")
	cmd.Flags().DurationVar(&wait, "wait", 0, "ask again for so long while something is not right")
	return cmd
}

// diagnosis asks the api until all is right or the time is over. An api that cannot be asked is the only line.
func (c *client) diagnosis(ctx context.Context, until time.Time) (contract.Diagnosis, error) {
	for {
		d := c.diagnosisOnce(ctx)
		if d.OK || time.Now().Add(doctorAgain).After(until) {
			return d, ctx.Err()
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(doctorAgain):
		}
	}
}

func (c *client) diagnosisOnce(ctx context.Context) (d contract.Diagnosis) {
	b, err := c.raw(ctx, http.MethodGet, "/doctor", nil, nil)
	if p, ok := errors.AsType[*problem](err); ok && p.Status == http.StatusServiceUnavailable && p.body != nil {
		b, err = p.body, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err == nil && len(d.Lines) == 0 {
		err = errors.New("it answers with no line: is it of another version?")
	}
	me := contract.CheckLine{Component: "tallyman", Name: "api", OK: true, Says: c.base}
	if err != nil {
		d = contract.Diagnosis{At: contract.At(time.Now())}
		me.OK, me.Says = false, fmt.Sprintf("%s: %v", c.base, err)
	}
	d.Lines = append([]contract.CheckLine{me}, d.Lines...)
	return d
}

// showDiagnosis prints the lines; anything that is not right makes the exit code 1.
func (s *shared) showDiagnosis(w io.Writer, d contract.Diagnosis) error {
	if s.output == "json" {
		if err := json.NewEncoder(w).Encode(&d); err != nil {
			return err
		}
	} else {
		for i := range d.Lines {
			l := &d.Lines[i]
			word := "ok  "
			if !l.OK {
				word = "FAIL"
			}
			who := l.Component
			if l.Instance != "" {
				who += " " + l.Instance
			}
			if _, err := fmt.Fprintf(w, "%s  %s  %s: %s\n", word, who, l.Name, l.Says); err != nil {
				return err
			}
		}
	}
	if !d.OK {
		return &exit{code: exitBad}
	}
	return nil
}

// thisMachine looks for the programs that the guides use, and the variables that SQS's clients need.
func thisMachine() contract.Diagnosis {
	d := contract.Diagnosis{At: contract.At(time.Now()), OK: true}
	add := func(name, says, fix string, ok bool) {
		if !ok {
			says, d.OK = says+": "+fix, false
		}
		d.Lines = append(d.Lines, contract.CheckLine{Component: "machine", Name: name, OK: ok, Says: says})
	}
	for _, t := range []struct{ name, fix string }{
		{"kubectl", "install it (kubernetes.io/docs/tasks/tools) to look at units"},
		{"helm", "install it (helm.sh/docs/intro/install) to install the chart"},
		{"nats", "install it (github.com/nats-io/natscli) to tap events"},
	} {
		path, err := exec.LookPath(t.name)
		if err != nil {
			path = "is not on the PATH"
		}
		add(t.name, path, t.fix, err == nil)
	}
	for _, v := range []struct{ name, fix string }{
		{"AWS_REGION", "set it to the region of the queues"},
	} {
		value, ok := os.LookupEnv(v.name)
		if !ok {
			value = "is not set"
		}
		add(v.name, value, v.fix, ok)
	}
	return d
}
