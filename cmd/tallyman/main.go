// Command tallyman is how people speak to Tallyman: it runs the whole pipeline on one machine (dev), and
// asks and tells a running one (submit, get, list, events, logs, stats, ...). Answers go to standard
// output, everything else to standard error.
//
// It exits with 0 when all went well, with 1 when the answer is a bad one (a job failed, a sum does not
// agree), with 2 when it could not ask, and with 3 when a job that it waited for was cancelled.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"tallyman/internal/service"
)

// Exit codes, also in docs/cli.md.
const (
	exitBad       = 1
	exitTrouble   = 2
	exitCancelled = 3
)

// exit carries a code to main together with what there is to say, if anything.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func main() {
	ctx, cancel := service.WithSignals(context.Background())
	defer cancel()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, in io.Reader, out, diag io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(diag)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exit](err); ok {
		if e.err != nil {
			fmt.Fprintln(diag, "tallyman:", e.err)
		}
		return e.code
	}
	if ctx.Err() != nil {
		return 0 // somebody asked it to end
	}
	fmt.Fprintln(diag, "tallyman:", err)
	return exitTrouble
}
