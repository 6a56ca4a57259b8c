package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tallyman/test/bench/figures"
)

// endpoint measures the batch endpoint by the processor time of the api alone: what two cores take in that do nothing
// else, as on a cluster, where NATS and SQS have machines of their own. Nobody has seen that rate here: the reference
// is what was, by the clock, while the api had to share its two cores with all of these and with the client. Why the
// bar is on the one and not on the other is in docs/decisions/0015-the-batch-endpoint-is-held-by-its-own-time.md.
func endpoint(ctx context.Context, t *figures.Table, body []byte) error {
	w, err := startAlone(ctx)
	if err != nil {
		return err
	}
	defer w.end()
	if err := w.postOnce(ctx, body); err != nil { // connections are made first
		return err
	}
	before, err := w.api.cpu()
	if err != nil {
		return err
	}
	took, err := concurrently(2, batches, func(int) error { return w.post(ctx, "/jobs/batch", body) })
	if err != nil {
		return err
	}
	after, err := w.api.cpu()
	if err != nil {
		return err
	}
	const cores = 2
	const jobs = batches * batchSize
	t.Add("api: POST /jobs/batch, reckoned from 2 cores of the api's own time, beside the rate seen", cores*jobs/(after-before).Seconds(),
		"jobs/s", jobs/took.Seconds(), figures.AtLeast(10_000))
	return nil
}

// alone is an api as it runs on a cluster: in a process of its own, with an aggregator that fills its index,
// beside NATS and SQS.
type alone struct {
	world
	servers  addresses
	nats     string
	api      *child
	children []*child
	dir      string
	config   string   // file
	common   []string // flags of every program
	env      []string // of those that speak to SQS
	addr     string   // of the api
}

// newAlone starts NATS and SQS, and none of ours.
func newAlone(ctx context.Context) (w *alone, err error) {
	w = &alone{world: world{client: &http.Client{}}}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "tallyman-bench"); err != nil {
		return nil, err
	}
	servers, at, err := startServers(ctx, w.dir)
	if err != nil {
		return nil, err
	}
	w.children, w.nats, w.servers = append(w.children, servers), at.NATS, at
	w.config = filepath.Join(w.dir, "config.yaml")
	queues := fmt.Sprintf("queues:\n- name: default\n  url: %s\n  types: [{name: probe}]\n", at.Queue)
	if err := os.WriteFile(w.config, []byte(queues), 0o600); err != nil {
		return nil, err
	}
	w.common = []string{"--nats-url", at.NATS, "--replicas", "1", "--allow-fewer-replicas", "--log", "error"}
	w.env = []string{"AWS_ENDPOINT_URL_SQS=" + at.SQS, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local"}
	w.addr, err = freeAddr()
	w.API = "http://" + w.addr
	return w, err
}

func startAlone(ctx context.Context) (w *alone, err error) {
	if w, err = newAlone(ctx); err != nil {
		return nil, err
	}
	if err := w.start(ctx); err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

// start starts an aggregator and an api.
func (w *alone) start(ctx context.Context) error {
	aggregator, err := w.program(ctx, "aggregator", nil, "--admin", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.children = append(w.children, aggregator)
	if w.api, err = w.startAPI(ctx, nil); err != nil {
		return err
	}
	w.children = append(w.children, w.api)
	return nil
}

// program starts one of ours.
func (w *alone) program(ctx context.Context, name string, env []string, args ...string) (*child, error) {
	return startChild(ctx, "bin/"+name, env, append(slices.Clone(w.common), args...)...)
}

// startAPI starts an api with an index in memory, unless args say otherwise.
func (w *alone) startAPI(ctx context.Context, env []string, args ...string) (*child, error) {
	return w.program(ctx, "api", append(slices.Clone(w.env), env...),
		append([]string{"--config", w.config, "--addr", w.addr, "--admin", "127.0.0.1:0"}, args...)...)
}

func (w *alone) end() {
	for i := len(w.children) - 1; i >= 0; i-- {
		w.children[i].end()
	}
	_ = os.RemoveAll(w.dir) // in the folder for what is temporary
}

// postOnce posts until the api answers, for a while.
func (w *world) postOnce(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := w.post(ctx, "/jobs/batch", body)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// child is a process that ends with the measurement.
type child struct {
	cmd *exec.Cmd
	in  io.Closer
}

func startChild(ctx context.Context, program string, env []string, args ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return &child{cmd: cmd}, nil
}

func (c *child) end() {
	if c.in != nil {
		_ = c.in.Close() // which ends it
	} else {
		_ = c.cmd.Process.Signal(os.Interrupt)
	}
	_ = c.cmd.Wait() // what it did is measured; how it ends is not
}

// cpu is the processor time that the process has used, which Linux counts in hundredths of a second.
func (c *child) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", c.cmd.Process.Pid, len(fields))
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// resident is the memory of the process.
func (c *child) resident() (bytes float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm has %d fields", c.cmd.Process.Pid, len(fields))
	}
	pages, err := strconv.Atoi(fields[1])
	return float64(pages * os.Getpagesize()), err
}

// usage is what a process has, in bytes, and what it has used until now.
type usage struct {
	resident float64
	cpu      time.Duration
}

func (c *child) usage() (usage, error) {
	resident, err1 := c.resident()
	cpu, err2 := c.cpu()
	return usage{resident, cpu}, errors.Join(err1, err2)
}

// addresses are where the servers listen.
type addresses struct{ NATS, SQS, Queue string }

// startServers runs a NATS and an SQS in a process beside the measured ones.
func startServers(ctx context.Context, dir string) (*child, addresses, error) {
	program := filepath.Join(dir, "devserver")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./internal/testenv/devserver")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, addresses{}, fmt.Errorf("build the servers: %w", err)
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Stderr, cmd.Env = os.Stderr, append(os.Environ(), "TMPDIR="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, addresses{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, addresses{}, err
	}
	if err := cmd.Start(); err != nil {
		return nil, addresses{}, err
	}
	c := &child{cmd, in}
	var at addresses
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &at)
	}
	if err != nil {
		c.end()
		return nil, addresses{}, fmt.Errorf("read where the servers listen: %w", err)
	}
	return c, at, nil
}

// freeAddr finds a port for a program that must be told one.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
