package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"tallyman/internal/service"
)

// defaultServer is where `tallyman dev` listens.
const defaultServer = "http://127.0.0.1:8080"

// What a command may be marked with.
const (
	program = "program" // it serves until it is stopped, and takes every flag from the environment
	endless = "endless" // it shows what comes until it is stopped
)

func mark(with string) map[string]string { return map[string]string{with: ""} }

func marked(cmd *cobra.Command, with string) bool {
	_, ok := cmd.Annotations[with]
	return ok
}

// shared is what every command that asks a server has.
type shared struct {
	server    string
	tokenFile string
	output    string
}

func newRoot() *cobra.Command {
	s := &shared{}
	root := &cobra.Command{
		Use:           "tallyman",
		Short:         "Every job, counted once",
		Long:          "Tallyman runs jobs on SQS and Kubernetes and knows, exactly, what happened to each.\nBegin with: tallyman dev",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			// Of a command that asks, only the settings: a job that asks has TALLYMAN_QUEUE and more of its own in its environment.
			flags := cmd.Root().PersistentFlags()
			if marked(cmd, program) {
				flags = cmd.Flags()
			} else if err := refuseEmpty(cmd.Flags()); err != nil {
				return err
			}
			if err := service.ApplyEnv(flags); err != nil {
				return err
			}
			if s.output != "text" && s.output != "json" {
				return fmt.Errorf("--output %q, also TALLYMAN_OUTPUT, is neither text nor json", s.output)
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVar(&s.server, "server", defaultServer, "the api to ask; also TALLYMAN_SERVER")
	f.StringVar(&s.tokenFile, "token-file", "", "file with the bearer token, where the api wants one; also TALLYMAN_TOKEN_FILE")
	f.StringVarP(&s.output, "output", "o", "text", "text or json; also TALLYMAN_OUTPUT")
	root.AddCommand(
		newDev(s), newSQS(s), newSubmit(s), newGet(s), newExplain(s), newList(s), newCancel(s), newPurge(s), newRequeue(s),
		newEvents(s), newLogs(s), newStats(s), newWatch(s), newWebhooks(s), newVerify(s), newDoctor(s), newProduce(s), newVersion(s),
		newCompletion(),
	)
	refuseUnknownTopics(root)
	return root
}

func newVersion(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := map[string]string{"version": service.Version(), "go": runtime.Version(), "revision": service.Revision()}
			if s.output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tallyman %s %s\n", v["version"], v["go"])
			return err
		},
	}
}
