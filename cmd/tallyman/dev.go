//go:build !image

package main

import (
	"context"
	"encoding/json"
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

func newDev(s *shared) *cobra.Command {
	var (
		o             dev.Options
		config, level string
		demo, once    bool
	)
	cmd := &cobra.Command{
		Use: "dev", Annotations: mark(program),
		Short: "Run the whole pipeline on this machine",
		Long: "Run the whole pipeline in one process: api, scheduler, bridge, aggregator, NATS with JetStream, SQS on\n" +
			"SQLite, and a stand-in for KEDA and Kubernetes that runs the real processor. State is kept in the data\n" +
			"folder; it is safe against a killed process, not against a power cut. With --output json its only line on\n" +
			"standard output is where everything listens.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := devShow{demo: demo || once, once: once, json: s.output == "json", out: cmd.OutOrStdout(), diag: cmd.ErrOrStderr()}
			if show.json && show.demo {
				return errors.New("--demo and --once are for people to look at: leave out --output json, and ask the api for JSON")
			}
			var err error
			if o.Log, err = service.NewLog(cmd.ErrOrStderr(), level, "dev"); err != nil {
				return err
			}
			if o.Config, err = devConfig(config); err != nil {
				return err
			}
			show.config = o.Config
			if o.Processor, err = findProcessor(o.Processor); err != nil {
				return err
			}
			return runDev(cmd.Context(), o, show)
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
	f.BoolVar(&demo, "demo", false, "submit three jobs and show them")
	f.BoolVar(&once, "once", false, "as --demo, and exit: 0 when all of them ended as they must and the ledger balances, else 1")
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

// devShow is what a person, or a program, wants to see of the pipeline.
type devShow struct {
	demo, once, json bool
	config           contract.Config
	out, diag        io.Writer
}

// runDev serves until ctx ends; with once, until the demo has ended.
func runDev(ctx context.Context, o dev.Options, show devShow) error {
	p, err := dev.New(ctx, o)
	if errors.Is(err, context.Canceled) {
		return err // it was stopped before it began
	}
	if err != nil {
		return &exit{code: exitBad, err: err}
	}
	if err := show.begin(p.Addresses(), o.Data); err != nil {
		return err
	}
	serving, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	shown := make(chan error, 1)
	go func() {
		shown <- show.ready(serving, p)
		if show.once {
			cancel(errEnough)
		}
	}()
	if err := p.Run(serving); err != nil {
		return &exit{code: exitBad, err: err}
	}
	if !show.once {
		return nil
	}
	if err := <-shown; err != nil {
		return interrupted(ctx, &exit{code: exitBad, err: err}, "the demonstration had not ended")
	}
	return nil
}

// begin says where everything listens, while it comes up.
func (s *devShow) begin(a dev.Addresses, data string) error {
	if s.json {
		return json.NewEncoder(s.out).Encode(&a)
	}
	fmt.Fprintf(s.out, "tallyman dev   api %s   sqs %s   nats %s   data %s/\n", a.API, a.SQS, a.NATS, data)
	return nil
}

// ready shows the demonstration where it is asked for, and what to try next.
func (s *devShow) ready(ctx context.Context, p *dev.Pipeline) error {
	if err := p.WaitReady(ctx); err != nil {
		return err
	}
	var err error
	if s.demo {
		fmt.Fprintln(s.out)
		if err = demo(ctx, p.Addresses(), s.out, s.diag); err != nil {
			err = fmt.Errorf("the demonstration did not end as it must: %w", err)
		}
	}
	if s.once {
		return err // main says it
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(s.diag, "tallyman:", err)
	}
	if !s.json {
		tellNext(s.out, p.Addresses(), &s.config)
	}
	return err
}
