// Package program is what the mains of api, scheduler, bridge and aggregator share: the same flags, the
// same way to NATS and SQS, the same admin page, the same end.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"tallyman/contract"
	"tallyman/internal/dispatch"
	"tallyman/internal/doctor"
	"tallyman/internal/queue"
	"tallyman/internal/service"
	"tallyman/internal/stream"
)

// Program is one of the four while it is being put together.
type Program struct {
	Flags  *pflag.FlagSet
	Log    *slog.Logger
	Stream *stream.Stream
	Config contract.Config // where the program asked for it

	name     string
	natsURL  string
	creds    string
	inbox    string
	config   string
	admin    string
	level    string
	replicas int
	fewer    bool
	parts    []service.Part
	checks   []doctor.Check
	make     bool
	start    start

	lookEvery time.Duration // at streams and buckets

	retention *time.Duration // where the program has the flag
}

// New names a program and declares the flags that all of them have; the caller declares its own.
func New(name string) *Program {
	p := &Program{name: name, lookEvery: lookEvery, Flags: pflag.NewFlagSet(name, pflag.ContinueOnError)}
	f := p.Flags
	f.StringVar(&p.natsURL, "nats-url", "nats://127.0.0.1:4222", "address of NATS")
	f.StringVar(&p.creds, "nats-credentials", "", "file with a .creds, an nkey seed or a line user:password; never given as a value")
	f.StringVar(&p.inbox, "nats-inbox", "", "first token of the subjects that answers come back on, where this user has its own (_INBOX)")
	f.BoolVar(&p.make, "make-streams", true, "make streams and buckets that are missing; otherwise wait until another component has")
	f.IntVar(&p.replicas, "replicas", 3, "replicas of every stream and bucket")
	f.BoolVar(&p.fewer, "allow-fewer-replicas", false, "accept less than three: claims are only as durable as NATS")
	f.StringVar(&p.admin, "admin", "127.0.0.1:8081", "where /healthz and /readyz are")
	f.StringVar(&p.level, "log", "info", "debug, info, warn or error")
	return p
}

// NeedConfig declares the flag of the queues and job types; Config is filled in before the parts are made.
func (p *Program) NeedConfig() {
	p.Flags.StringVar(&p.config, "config", "", "YAML file with queues and job types")
}

// NeedRetention declares for how long the documents of ended jobs are kept. The aggregator keeps them so, and
// whoever holds its books to anything must be told the same.
func (p *Program) NeedRetention(retention *time.Duration, value time.Duration, usage string) {
	p.Flags.DurationVar(retention, "retention", value, usage)
	p.retention = retention
}

// checkRetention refuses documents that would outlive their events: such a job could not be told in full, nor
// held to the stream.
func (p *Program) checkRetention() error {
	kept := stream.DefaultSettings().EventsMaxAge
	if p.retention == nil || *p.retention <= kept {
		return nil
	}
	return fmt.Errorf("--retention %s: the stream keeps events for %s, and a job's document must not outlive them; give at most that",
		*p.retention, kept)
}

// checkQueues refuses documents that a message may outlive.
func (p *Program) checkQueues() error {
	least := p.Config.LeastRetention()
	if p.retention == nil || *p.retention >= least {
		return nil
	}
	return fmt.Errorf("--retention %s: SQS keeps a message for up to %s by the configuration, and one that waited for longer than documents are "+
		"kept would run and be counted nowhere; give at least %s, or every queue a shorter retention", *p.retention, least-contract.RetentionMargin, least)
}

// Add adds a part behind those that it needs.
func (p *Program) Add(name string, run, ready func(context.Context) error) {
	p.parts = append(p.parts, service.Part{Name: name, Run: run, Ready: ready})
}

// Watch adds a part that only has something to say of being ready.
func (p *Program) Watch(name string, ready func(context.Context) error) {
	p.Add(name, func(ctx context.Context) error { <-ctx.Done(); return nil }, ready)
}

// Main reads flags and environment, connects, lets build add its parts, and runs them. It gives the exit
// code: 0 for a clean end, 2 for wrong flags, 1 for everything else.
func (p *Program) Main(args []string, diag io.Writer, build func(context.Context, *Program) error) int {
	p.Flags.SetOutput(diag)
	switch err := p.read(args, diag); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(diag, "%s: %v\n", p.name, err)
		return 2
	}
	tuneMemory()
	ctx, cancel := service.WithSignals(context.Background())
	defer cancel()
	if err := p.run(ctx, build); err != nil && ctx.Err() == nil {
		p.Log.Error("ended", "error", err)
		return 1
	}
	return 0
}

// read reports every fault of flags and environment in one message.
func (p *Program) read(args []string, diag io.Writer) (err error) {
	if err := p.Flags.Parse(args); err != nil {
		return err
	}
	faults := []error{service.ApplyEnv(p.Flags), p.checkRetention()}
	if p.Log, err = service.NewLog(diag, p.level, p.name); err != nil {
		faults = append(faults, err)
	}
	if p.replicas < 3 && !p.fewer {
		faults = append(faults, fmt.Errorf("--replicas %d: claims are only as durable as NATS, so three are asked for; --allow-fewer-replicas accepts less", p.replicas))
	}
	if p.Flags.Lookup("config") != nil {
		switch {
		case p.config == "":
			faults = append(faults, fmt.Errorf("--config or %s: name the YAML file with queues and job types", service.EnvName("config")))
		default:
			if p.Config, err = service.LoadConfig(p.config); err == nil {
				err = p.checkQueues()
			}
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// run serves the admin page from the first moment on, so that whoever looks sees what a start waits for.
func (p *Program) run(ctx context.Context, build func(context.Context, *Program) error) (err error) {
	admin, err := service.NewAdmin(p.admin, []service.Part{{Name: "start", Ready: p.start.ready}})
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- admin.Run(serving) }()
	page := service.Part{Name: "admin", Run: func(ctx context.Context) error {
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
			stop()
			return <-served
		}
	}}
	defer stop()
	defer func() {
		if p.Stream != nil {
			p.Stream.Close()
		}
	}()
	if err := p.reach(ctx); err != nil {
		return err
	}
	p.Watch("nats", p.Stream.Ready)
	p.parts = append(p.parts, (&upkeep{p: p}).part())
	if err := build(ctx, p); err != nil {
		return err
	}
	admin.Ask(p.parts)
	checkup, err := p.checkup(ctx)
	if err != nil {
		return err
	}
	return service.Run(ctx, p.Log, append([]service.Part{page, checkup}, p.parts...)...)
}

// Dispatcher makes runs in the name of a component, over the SQS that the AWS environment names.
func (p *Program) Dispatcher(ctx context.Context, source contract.Source, q *queue.Client) (*dispatch.Dispatcher, error) {
	claims, err := p.Stream.Bucket(ctx, contract.BucketClaims)
	if err != nil {
		return nil, err
	}
	return dispatch.New(dispatch.Options{
		Source: source, Config: p.Config, Events: p.Stream, Sender: q, Claims: claims, Log: p.Log,
	})
}

// Buckets opens buckets by name, in that order.
func (p *Program) Buckets(ctx context.Context, names ...string) ([]*stream.Bucket, error) {
	all := make([]*stream.Bucket, len(names))
	for i, name := range names {
		var err error
		if all[i], err = p.Stream.Bucket(ctx, name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Cron lets the api ask the scheduler's rules without knowing them.
type Cron func(expression, zone string, after time.Time) (time.Time, error)

// Next gives the first tick after a moment; an error says what is wrong with the expression.
func (c Cron) Next(expression, zone string, after time.Time) (time.Time, error) {
	return c(expression, zone, after)
}

// Holder names this process where a lease wants to know who holds it.
func Holder() string {
	host, _ := os.Hostname() // a name for people; empty does no harm
	return host + "/" + strconv.Itoa(os.Getpid())
}
