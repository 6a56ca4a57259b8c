package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/localkube"
	"tallyman/internal/natslocal"
	"tallyman/internal/queue"
	"tallyman/internal/service"
	"tallyman/internal/sqslocal"
)

// partVariable says which program this binary is, in the place of a test.
const partVariable = "TALLYMAN_CHAOS_PART"

// part is what such a program is told when it is started.
type part struct {
	Name      string // nats, sqs or kube
	Dir       string
	Addr      string    // where it listens
	NATS, SQS string    // whom it speaks to
	Pods      [2]string // whom its pods speak to: NATS and SQS
	Config    string
	Processor string
}

// orders are what it is told while it runs, one line of JSON each; the last one counts.
type orders struct {
	Faults []sqslocal.Fault // of SQS
	Clock  time.Duration    // what its clock is off by
}

func TestMain(m *testing.M) {
	text := os.Getenv(partVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	signal.Ignore(syscall.SIGXFSZ) // a full disk is an error of write
	var p part
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := service.WithSignals(context.Background())
	defer cancel()
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.run(ctx, log)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, p.Name, err)
		os.Exit(1)
	}
}

func (p *part) run(ctx context.Context, log *slog.Logger) error {
	switch p.Name {
	case "nats":
		s, err := natslocal.Start(natslocal.Options{Addr: p.Addr, Dir: p.Dir, Log: log})
		if err != nil {
			return err
		}
		defer s.Stop()
		return s.Run(ctx)
	case "sqs":
		return p.sqs(ctx, log)
	case "kube":
		return p.kube(ctx, log)
	case "clock": // whenever it is told anything, it tells its time
		return obey(func(orders) { fmt.Println(time.Now().UnixMilli()) })
	}
	return fmt.Errorf("no part %q", p.Name)
}

// obey hands orders on until nobody gives any more.
func obey(act func(orders)) error {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var o orders
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		act(o)
	}
	return nil
}

// offClock is the real clock, and wrong.
type offClock struct {
	clockwork.Clock
	off atomic.Int64
}

func newOffClock() *offClock { return &offClock{Clock: clockwork.NewRealClock()} }

func (c *offClock) Now() time.Time                  { return c.Clock.Now().Add(time.Duration(c.off.Load())) }
func (c *offClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c *offClock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

func (p *part) sqs(ctx context.Context, log *slog.Logger) error {
	config, err := service.LoadConfig(p.Config)
	if err != nil {
		return err
	}
	clock, faults := newOffClock(), sqslocal.NewFaults(1)
	srv, err := sqslocal.New(sqslocal.Options{Addr: p.Addr, Path: filepath.Join(p.Dir, "sqs.db"), Clock: clock, Faults: faults, Log: log})
	if err != nil {
		return err
	}
	if err := srv.EnsureQueues(ctx, &config); err != nil {
		return err
	}
	go func() {
		_ = obey(func(o orders) { // at the end of orders the process is killed
			clock.off.Store(int64(o.Clock))
			faults.Clear()
			for _, f := range o.Faults {
				faults.Add(f)
			}
		})
	}()
	return srv.Run(ctx)
}

// kube is KEDA and Kubernetes with one node, on which the pods run, and its API server.
func (p *part) kube(ctx context.Context, log *slog.Logger) error {
	config, err := service.LoadConfig(p.Config)
	if err != nil {
		return err
	}
	client, err := queue.Open(ctx, queue.Options{Endpoint: p.SQS, Region: region, AccessKey: "x", SecretKey: "x"})
	if err != nil {
		return err
	}
	clock := newOffClock()
	go func() { _ = obey(func(o orders) { clock.off.Store(int64(o.Clock)) }) }()
	k, err := localkube.New(localkube.Options{
		Dir: p.Dir, Processor: p.Processor, Queues: kubeQueues(&config, client), Env: p.podEnv(),
		Cluster: cluster, Namespace: namespace, BackoffScale: 0.01, Grace: 2 * time.Second, Clock: clock, Log: log,
	})
	if err != nil {
		return err
	}
	server := service.Part{Name: "apiserver", Run: func(ctx context.Context) error { return newAPIServer(k).run(ctx, p.Addr) }}
	return service.Run(ctx, log, server, service.Part{Name: "localkube", Run: k.Run})
}

func kubeQueues(c *contract.Config, client *queue.Client) []localkube.Queue {
	var all []localkube.Queue
	for _, q := range c.Queues {
		all = append(all, localkube.Queue{
			Name: q.Name, Max: q.Max, Timeout: time.Duration(q.Timeout),
			Depth: func(ctx context.Context) (visible, inFlight, delayed int, err error) {
				n, err := client.Counts(ctx, q.URL)
				return n.Visible, n.InFlight, n.Delayed, err
			},
			Env: []string{"TALLYMAN_QUEUE_URL=" + q.URL, "TALLYMAN_DEAD_LETTER_URL=" + q.DeadLetter},
		})
	}
	return all
}

// podPatience is how long a processor bears with NATS and SQS.
const podPatience = 4 * time.Second

func (p *part) podEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "TALLYMAN_CONFIG=" + p.Config, "TALLYMAN_NATS_URL=" + p.Pods[0],
		"AWS_ENDPOINT_URL_SQS=" + p.Pods[1], "AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"AWS_EC2_METADATA_DISABLED=true", "TALLYMAN_RECEIVE_SECONDS=1", "TALLYMAN_GRACE_SECONDS=1",
		"TALLYMAN_PATIENCE_SECONDS=" + strconv.Itoa(int(podPatience/time.Second)),
	}
}
