// Command devserver serves a NATS and an SQS to tests in other languages: it prints one line of JSON with
// the addresses and serves until its standard input is closed.
//
// A line "stop nats" or "start nats" on standard input takes NATS away and brings it back at the same
// address; each is answered by a line "ok".
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"tallyman/internal/natslocal"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
)

func main() {
	if err := run(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "tallyman-devserver")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	nats, err := natslocal.Start(natslocal.Options{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		return err
	}
	defer func() { nats.Stop() }()
	if err := ensure(ctx, nats.URL()); err != nil {
		return err
	}
	sqs, err := sqslocal.New(sqslocal.Options{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- sqs.Run(ctx) }()
	defer func() { cancel(); <-served }()
	queues := make(map[string]string)
	for _, name := range []string{"queue", "deadLetter"} {
		if queues[name], err = sqs.EnsureQueue(ctx, name, map[string]string{"VisibilityTimeout": "30"}); err != nil {
			return err
		}
	}
	err = json.NewEncoder(out).Encode(map[string]string{
		"nats": nats.URL(), "sqs": sqs.URL(), "queue": queues["queue"], "deadLetter": queues["deadLetter"],
	})
	if err != nil {
		return err
	}
	addr := strings.TrimPrefix(nats.URL(), "nats://")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		switch lines.Text() {
		case "stop nats":
			nats.Stop()
		case "start nats":
			if nats, err = natslocal.Start(natslocal.Options{Addr: addr, Dir: dir}); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown command %q", lines.Text())
		}
		fmt.Fprintln(out, "ok")
	}
	return nil
}

func ensure(ctx context.Context, url string) error {
	s, err := stream.Connect(ctx, stream.Options{URL: url, Name: "devserver"})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Ensure(ctx, stream.DefaultSettings())
}
