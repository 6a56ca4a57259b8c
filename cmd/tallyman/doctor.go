package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
			"with what to do. With --tools, look at this machine instead: the programs that the guides use, and AWS's region and credentials.\n\n" +
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
	cmd.Flags().BoolVar(&tools, "tools", false, "look at this machine's programs, and AWS's region and credentials")
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

// guideTools are the programs that the guides have people type, but for what every Unix has and what builds Tallyman.
var guideTools = [...]struct{ name, fix string }{
	{"kubectl", "install it (kubernetes.io/docs/tasks/tools) to look at units"},
	{"helm", "install it (helm.sh/docs/intro/install) to install the chart"},
	{"nats", "install it (github.com/nats-io/natscli) to tap events"},
	{"curl", "install it (curl.se) to ask the API"},
	{"jq", "install it (jqlang.org) to read what the API and the events say"},
	{"aws", "install it (docs.aws.amazon.com/cli) to make queues, and to send to them by hand"},
}

// thisMachine looks for the programs that the guides use, and for what SQS's clients need.
func thisMachine() contract.Diagnosis {
	d := contract.Diagnosis{At: contract.At(time.Now()), OK: true}
	add := func(name, says, fix string, ok bool) {
		if !ok {
			says, d.OK = says+": "+fix, false
		}
		d.Lines = append(d.Lines, contract.CheckLine{Component: "machine", Name: name, OK: ok, Says: says})
	}
	for _, t := range guideTools {
		path, err := exec.LookPath(t.name)
		if err != nil {
			path = "is not on the PATH"
		}
		add(t.name, path, t.fix, err == nil)
	}
	region, ok := os.LookupEnv("AWS_REGION")
	if !ok {
		region = "is not set"
	}
	add("AWS_REGION", region, "set it to the region of the queues", ok)
	says, ok := awsCredentials()
	add("AWS credentials", says, "run `aws configure`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", ok)
	return d
}

// awsCredentials says from where AWS's clients would take credentials, and nothing of what they are. It looks where all of those
// clients look, but asks nobody: whether they are good is for AWS to say.
func awsCredentials() (says string, ok bool) {
	for _, names := range [][]string{
		{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, {"AWS_PROFILE"}, {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"},
		{"AWS_CONTAINER_CREDENTIALS_FULL_URI"}, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
	} {
		if !slices.ContainsFunc(names, func(name string) bool { return os.Getenv(name) == "" }) {
			return "from " + strings.Join(names, " and "), true
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // then only the variables name a file
	}
	for _, file := range []string{
		cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(home, ".aws", "credentials")),
		cmp.Or(os.Getenv("AWS_CONFIG_FILE"), filepath.Join(home, ".aws", "config")),
	} {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return "from " + file, true
		}
	}
	return "there are none", false
}
