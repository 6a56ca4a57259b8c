// Command toolbox is what the cluster's own tests run in pods: an image has no shell here, and needs none.
//
//	toolbox say WORDS...        print them
//	toolbox exit CODE           end with this code
//	toolbox serve ADDRESS TEXT  answer every request with the text
//	toolbox get URL             print what it answers; ends with 1 if it does not
//	toolbox wait [RUN]          until SIGTERM; in this run of a job not at all
//	toolbox eat                 take memory until somebody minds
//	toolbox keep FILE TEXT      write the text to a file, and print the file
//	toolbox now FILE            write the time to a file
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	code, err := run(ctx, append(os.Args[1:], "", "", "")) // so that a missing word is an empty one
	if err != nil {
		fmt.Fprintln(os.Stderr, "toolbox:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (int, error) {
	switch args[0] {
	case "say":
		_, err := fmt.Println(strings.TrimSpace(strings.Join(args[1:], " ")))
		return 0, err
	case "exit":
		return strconv.Atoi(args[1])
	case "serve":
		server := &http.Server{Addr: args[1], ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, args[2]) })}
		context.AfterFunc(ctx, func() { _ = server.Close() })
		return 1, server.ListenAndServe()
	case "get":
		return 0, get(ctx, args[1])
	case "wait":
		if args[1] == "" || args[1] != os.Getenv("TALLYMAN_RUN") {
			<-ctx.Done()
		}
		return 0, nil
	case "eat":
		for eaten := [][]byte{}; ctx.Err() == nil && len(eaten) < 1<<10; { // at most 16 GiB
			eaten = append(eaten, bytes.Repeat([]byte{1}, 16<<20))
		}
		return 0, nil
	case "keep":
		if err := os.WriteFile(args[1], []byte(args[2]), 0o644); err != nil {
			return 1, err
		}
		b, err := os.ReadFile(args[1])
		fmt.Println(string(b))
		return 0, err
	case "now":
		return 0, os.WriteFile(args[1], []byte(time.Now().Format(time.RFC3339Nano)), 0o644)
	}
	return 2, errors.New("say, exit, serve, get, wait, eat, keep or now")
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
