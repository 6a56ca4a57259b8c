package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tallyman/contract"
	"tallyman/internal/service"
	"tallyman/internal/sqslocal"
)

func newSQS(s *shared) *cobra.Command {
	var (
		addr, data, level, config string
		queues                    []string
	)
	cmd := &cobra.Command{
		Use: "sqs", Annotations: mark(program),
		Short: "Serve SQS alone, on SQLite",
		Long: "Serve SQS's own protocol over HTTP, so that any SDK (AWS_ENDPOINT_URL_SQS), the AWS CLI\n" +
			"(--endpoint-url) and KEDA (awsEndpoint) can speak to it. With --data, what it holds is safe against a\n" +
			"killed process, not against a power cut; without, it is in memory and gone with the process.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := service.NewLog(cmd.ErrOrStderr(), level, "sqs")
			if err != nil {
				return err
			}
			var c contract.Config
			if config != "" {
				if c, err = service.LoadConfig(config); err != nil {
					return err
				}
			}
			srv, err := sqslocal.New(sqslocal.Options{Addr: addr, Path: data, Log: log})
			if err != nil {
				return service.Elsewhere(err, "--addr")
			}
			if err := srv.EnsureQueues(cmd.Context(), &c); err != nil {
				return err
			}
			urls := make([]string, 0, len(queues))
			for _, q := range queues {
				url, err := srv.EnsureQueue(cmd.Context(), q, nil)
				if err != nil {
					return err
				}
				urls = append(urls, url)
			}
			if err := s.sayQueues(cmd.OutOrStdout(), srv.URL(), urls); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "tallyman sqs   %s\n", srv.URL())
			return service.Run(cmd.Context(), log, service.Part{Name: "sqs", Run: srv.Run})
		},
	}
	f := cmd.Flags()
	f.StringVar(&addr, "addr", "127.0.0.1:9324", "where to listen; port 0 takes a free one")
	f.StringVar(&data, "data", "", "SQLite file for the messages; in memory without")
	f.StringSliceVar(&queues, "queue", nil, "make this queue at start; may be given several times")
	f.StringVar(&config, "config", "", "YAML file with queues: each is made at start, with a dead-letter queue")
	f.StringVar(&level, "log", "warn", "debug, info, warn or error")
	return cmd
}

// sayQueues prints the URL of each queue that was asked for by name, in that order.
func (s *shared) sayQueues(w io.Writer, endpoint string, urls []string) error {
	if s.output == "json" {
		return json.NewEncoder(w).Encode(map[string]any{"sqs": endpoint, "queues": urls})
	}
	for _, url := range urls {
		if _, err := fmt.Fprintln(w, url); err != nil {
			return err
		}
	}
	return nil
}
