//go:build !image

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tallyman/contract"
	"tallyman/internal/dev"
	"tallyman/internal/service"
)

func newDev() *cobra.Command {
	var (
		o                  dev.Options
		config, level      string
		showDemo, demoOnce bool
	)
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole pipeline on this machine",
		Long: "Run the whole pipeline in one process: api, scheduler, bridge, aggregator, NATS with JetStream, SQS on\n" +
			"SQLite, and a stand-in for KEDA and Kubernetes that runs the real processor. State is kept in the data\n" +
			"folder; it is safe against a killed process, not against a power cut.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Log, err = service.NewLog(cmd.ErrOrStderr(), level, "dev"); err != nil {
				return err
			}
			if o.Config, err = devConfig(config); err != nil {
				return err
			}
			if o.Processor, err = findProcessor(o.Processor); err != nil {
				return err
			}
			return runDev(cmd.Context(), o, showDemo || demoOnce, demoOnce, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", ".tallyman", "folder for all state")
	f.StringVar(&o.Files, "files", ".", "the folder that process-data may read files of")
	f.StringVar(&config, "config", "", "YAML file with queues and job types (one queue with every built-in type)")
	f.StringVar(&o.API, "api", "127.0.0.1:8080", "where the api listens; port 0 takes a free one")
	f.StringVar(&o.SQS, "sqs", "127.0.0.1:9324", "where SQS listens")
	f.StringVar(&o.NATS, "nats", "127.0.0.1:4222", "where NATS listens")
	f.StringVar(&o.Admin, "admin", "127.0.0.1:8081", "where /healthz and /readyz are")
	f.StringVar(&o.Processor, "processor", "", "the processor's binary (bin/processor, beside this program)")
	f.Float64Var(&o.BackoffScale, "backoff-scale", 0.1, "Kubernetes waits 10 s, 20 s, ... before a retry; this share of it")
	f.Uint64Var(&o.AcceptGapsTo, "accept-gaps-to", 0, "the sequence up to which it is known that nothing was lost by missing ones (docs/runbook.md)")
	f.StringVar(&level, "log", "warn", "debug, info, warn or error")
	f.BoolVar(&showDemo, "demo", false, "submit three jobs and show them")
	f.BoolVar(&demoOnce, "once", false, "as --demo, and exit: 0 when all of them ended as they must and the ledger balances, else 1")
	return cmd
}

func devConfig(path string) (contract.Config, error) {
	if path == "" {
		return contract.DevConfig(), nil
	}
	return service.LoadConfig(path)
}

// findProcessor takes the one that was named, or the one that `make build` leaves beside this program.
func findProcessor(named string) (string, error) {
	if named == "" {
		exe, err := os.Executable()
		if err != nil {
			return "", err
		}
		named = filepath.Join(filepath.Dir(exe), "processor")
	}
	path, err := filepath.Abs(named)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no processor at %s: build it with `make build`, or name one with --processor", path)
	}
	return path, nil
}

// runDev serves until ctx ends; with once, until the demo has ended.
func runDev(ctx context.Context, o dev.Options, showDemo, once bool, out io.Writer) error {
	p, err := dev.New(ctx, o)
	if err != nil {
		return &exit{code: exitBad, err: err}
	}
	a := p.Addresses()
	fmt.Fprintf(out, "tallyman dev   api %s   sqs %s   nats %s   data %s/\n", a.API, a.SQS, a.NATS, o.Data)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	shown := make(chan error, 1)
	go func() {
		shown <- showAndTell(ctx, p, showDemo, once, o.Data, out)
		if once {
			cancel(errEnough)
		}
	}()
	if err := p.Run(ctx); err != nil {
		return &exit{code: exitBad, err: err}
	}
	if once {
		if err := <-shown; err != nil {
			return &exit{code: exitBad, err: err}
		}
	}
	return nil
}

func showAndTell(ctx context.Context, p *dev.Pipeline, showDemo, once bool, data string, out io.Writer) error {
	if err := p.WaitReady(ctx); err != nil {
		return err
	}
	var err error
	if showDemo {
		fmt.Fprintln(out)
		if err = demo(ctx, p.Addresses(), out); err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(out, "\nthe demonstration did not end as it must:", err)
		}
	}
	if !once {
		tellNext(out, p.Addresses())
	}
	return err
}

// tellNext prints what to try, ready to be pasted.
func tellNext(out io.Writer, a dev.Addresses) {
	server := ""
	if a.API != defaultServer {
		server = " --server " + a.API
	}
	fmt.Fprintf(out, `
try next:
  curl -X POST %[1]s/jobs -d '{"type":"probe","payload":{"target":"127.0.0.1","duration":"3"}}' -H 'Content-Type: application/json'
  bin/tallyman submit --wait --payload '{"records":1000,"failureRate":0}'%[2]s
  AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws sqs send-message \
    --endpoint-url %[3]s --queue-url %[4]s --message-body '{"target":"127.0.0.1","duration":"3"}'
  nats --server %[5]s sub 'jobs.events.>'
  curl %[1]s/jobs/stats
the api is described at %[1]s/docs; Ctrl-C ends all of it, and everything is still there next time
`, a.API, server, a.SQS, a.Queues[contract.DefaultQueue], a.NATS)
}
