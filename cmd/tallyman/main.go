// Command tallyman is how people speak to Tallyman: it runs the whole pipeline on one machine (dev), and
// asks and tells a running one (submit, get, list, events, logs, stats, ...). Answers go to standard
// output, everything else to standard error.
//
// It exits with 0 when all went well, with 1 when the answer is a bad one (a job failed, a sum does not
// agree), with 2 when it could not ask, with 3 when a job that it waited for was cancelled, and with 130 when it
// was interrupted before it had an answer.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tallyman/internal/service"
)

// Exit codes, also in docs/cli.md.
const (
	exitBad         = 1
	exitTrouble     = 2
	exitCancelled   = 3
	exitInterrupted = 130
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
	out, diag = guarded{out}, guarded{diag}
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(diag)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exit](err); ok {
		if e.err != nil {
			fmt.Fprintln(diag, "tallyman:", e.err)
		}
		return e.code
	}
	if ctx.Err() != nil && goesOn(cmd) {
		return 0 // somebody asked it to end, as it only then does
	}
	if ctx.Err() != nil {
		fmt.Fprintf(diag, "tallyman: interrupted: `%s` had not ended\n", cmd.CommandPath())
		return exitInterrupted
	}
	fmt.Fprintln(diag, "tallyman:", err)
	return exitTrouble
}

// goesOn tells whether a command goes on until somebody ends it, which is then no interruption.
func goesOn(cmd *cobra.Command) bool {
	given := func(flag string) bool {
		f := cmd.Flags().Lookup(flag)
		return f != nil && f.Value.String() == "true"
	}
	return given("follow") || (marked(cmd, program) || marked(cmd, endless)) && !given("once")
}

// interrupted says what an interruption left behind, where that is the end of ctx; any other error stays as it is.
func interrupted(ctx context.Context, err error, says string) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &exit{code: exitInterrupted, err: errors.New("interrupted: " + says)}
}
