// Command bench measures what ARCHITECTURE.md promises of speed and size, each figure beside a reference of the same
// minutes and machine, prints a table and writes bench.json. It fails nobody's build: a figure below its bar is
// marked, as is one with a bar and no reference, and the exit code is 1. Where a suite fails, the others are told all
// the same.
//
//	figures/     a figure, its reference, its bar; the table and bench.json
//	packages.go  figures of one package, taken from its own Go benchmarks
//	posts.go     jobs that are posted at the same time share calls to SQS
//	submit.go    how fast jobs are taken in
//	endpoint.go  what of that is the api's own work
//	follow.go    events to a thousand clients at once
//	watch.go     the stats to a thousand clients at once
//	takeover.go  the leader is killed, and counting goes on
//	heap.go      an api and an aggregator that are started again
//	local.go     the whole pipeline on this machine
//	resident.go  the memory of a unit's processor
//	cost.go      what a job leaves in each store
//	million.go   a million finished jobs, in processes of their own; only where it is named
//	original.go  the shares of the original function that end well
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"tallyman/test/bench/figures"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	os.Exit(run(ctx, os.Args[1:]))
}

type suite struct {
	name    string
	measure func(context.Context, *figures.Table) error
	apart   bool // takes long: measured only where it is named
}

// suites are run in this order, or only those that the arguments name.
var suites = []suite{
	{"packages", packages, false},
	{"posts", posts, false},
	{"submit", submit, false},
	{"follow", follow, false},
	{"watch", watch, false},
	{"takeover", takeover, false},
	{"local", local, false},
	{"original", original, false},
	{"million", million, true},
}

func run(ctx context.Context, only []string) int {
	if len(only) > 0 && only[0] == bareServer {
		return serveBare(os.Stdin, os.Stdout)
	}
	t, file := &figures.Table{}, "bench.json"
	var failed []string
	for _, s := range suites {
		if named := contains(only, s.name); !named && (len(only) > 0 || s.apart) {
			continue
		}
		if s.apart {
			file = "bench-" + s.name + ".json"
		}
		fmt.Fprintf(os.Stderr, "measuring %s\n", s.name)
		if err := s.measure(ctx, t); err != nil {
			failed = append(failed, s.name)
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", s.name, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return tell(t, file, failed)
}

// tell prints and writes what was measured, whatever was not, and gives the exit code.
func tell(t *figures.Table, file string, failed []string) int {
	t.Print(os.Stdout)
	if err := t.Write(file); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	if len(failed) > 0 {
		fmt.Fprintf(os.Stderr, "bench: not measured to the end: %s; the table has what was\n", strings.Join(failed, ", "))
		return 1
	}
	if !t.Good() {
		return 1
	}
	return 0
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
