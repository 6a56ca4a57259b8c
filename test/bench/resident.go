package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tallyman/test/bench/figures"
)

const (
	lookEvery = 2 * time.Millisecond // a claim lives for some twenty
	profiled  = 20                   // jobs that read a file
	looked    = 20 * time.Second     // for how long an idle processor may take to be idle
)

// resident measures the memory that the processor of a unit takes: `claim`, and after it `run` with the `work` that it
// starts, which live at the same time and are added up. What two processes share of the program is counted twice.
func resident(ctx context.Context, t *figures.Table) error {
	w, stop, err := startPipeline(ctx, func(o *options) { o.Files = "examples" })
	if err != nil {
		return err
	}
	defer stop()
	idle, err := idleProcessor(ctx)
	if err != nil {
		return err
	}
	peaks := watchUnits(ctx)
	jobs := []string{`{"payload":{"records":1000,"failureRate":0}}`, emptyJob} // the first lives for a second
	for range profiled {
		jobs = append(jobs, `{"payload":{"source":"orders.csv"}}`)
	}
	for n, job := range jobs {
		if err := w.post(ctx, "/jobs", []byte(job)); err != nil {
			return err
		}
		if err := w.rest(ctx, n+1); err != nil {
			return err
		}
	}
	peak := peaks()
	s, err := w.stats(ctx)
	if err != nil {
		return err
	}
	if s.SucceedJob != len(jobs) || peak.claim == 0 || peak.work == 0 {
		return fmt.Errorf("memory of the processor: %d of %d jobs succeeded, a claim of %g MiB and a work of %g MiB were seen",
			s.SucceedJob, len(jobs), peak.claim, peak.work)
	}
	t.Add("processor: peak resident memory of claim, beside an idle one", peak.claim, "MiB", idle, figures.AtMost(20))
	t.Add("processor: peak resident memory of run and its work together, beside an idle one", peak.run, "MiB", idle, figures.AtMost(20))
	t.Add("processor: of that the work, beside an idle one", peak.work, "MiB", idle, figures.None())
	return nil
}

// idleProcessor is the memory of a processor that waits for its payload, in MiB.
func idleProcessor(ctx context.Context) (mib float64, err error) {
	cmd := exec.CommandContext(ctx, processorPath, "work", "process-data")
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait() // it fails, since there was no payload
	}()
	until := time.Now().Add(looked)
	for !strings.HasPrefix(statusLine(cmd.Process.Pid, "State:"), "S") || len(argsOf(cmd.Process.Pid)) < 2 {
		if time.Now().After(until) {
			return 0, errors.New("memory of the processor: an idle one does not wait for its payload")
		}
		time.Sleep(lookEvery)
	}
	return mibLine(cmd.Process.Pid, "VmHWM:"), nil
}

// peak is the most that was seen of one unit, in MiB.
type peak struct{ claim, run, work float64 }

// watchUnits looks at the processors of all units, which are children of this process, until the peaks are asked for.
func watchUnits(ctx context.Context) func() peak {
	ctx, cancel := context.WithCancel(ctx)
	peaks := make(chan peak, 1)
	go func() {
		var p peak
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				peaks <- p
				return
			case <-tick.C:
				p.look()
			}
		}
	}()
	return func() peak { cancel(); return <-peaks }
}

func (p *peak) look() {
	for _, pid := range childrenOf(os.Getpid()) {
		args := argsOf(pid)
		if len(args) < 2 || filepath.Base(args[0]) != "processor" {
			continue
		}
		switch most := mibLine(pid, "VmHWM:"); args[1] {
		case "claim":
			p.claim = max(p.claim, most)
		case "run":
			work := 0.0
			for _, child := range childrenOf(pid) {
				if args := argsOf(child); len(args) > 1 && args[1] == "work" {
					work += mibLine(child, "VmHWM:")
				}
			}
			p.run, p.work = max(p.run, most+work), max(p.work, work)
		}
	}
}

func childrenOf(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is good
	for _, list := range lists {
		b, _ := os.ReadFile(list) // a process that has gone has none
		for field := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

func argsOf(pid int) []string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // likewise
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

// statusLine is what a line of a process's status says; "" where the process has gone.
func statusLine(pid int, field string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // likewise
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func mibLine(pid int, field string) float64 {
	kib, _, _ := strings.Cut(statusLine(pid, field), " ")
	n, _ := strconv.Atoi(kib) // nothing is 0
	return float64(n) / 1024
}
