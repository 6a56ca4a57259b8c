package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/queue"
	"tallyman/internal/service"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
)

// Options of a Pipeline.
type Options struct {
	Data         string // the data folder
	Files        string // the folder that process-data may read from
	Config       contract.Config
	API          string // host:port of each listener; port 0 takes a free one
	SQS          string
	NATS         string
	Admin        string
	Processor    string  // path of the processor's binary
	BackoffScale float64 // share of Kubernetes' back-off between attempts
	Paused       bool    // no units are made, as with KEDA's annotation `paused`
	Log          *slog.Logger

	AcceptGapsTo  uint64           // the aggregator's
	AcceptedAfter time.Duration    // after which a task that SQS has not taken is sent again; 0: as on a cluster
	Faults        *sqslocal.Faults // nil outside of tests
}

// What there is only one of on one machine.
const (
	cluster   = "local"
	namespace = "default"
	region    = "us-east-1"
	// localKey is what SQS clients sign with; the local SQS asks for none, but the SDKs insist.
	localKey = "local"
	// counterLag is for how long the counters of the local SQS may be wrong, which they never are.
	counterLag = 2 * time.Second
	// grace is from SIGTERM to SIGKILL: somebody who presses Ctrl-C waits for it.
	grace = 5 * time.Second
)

// Pipeline is everything, listening.
type Pipeline struct {
	folder    *folder
	nats      *natslocal.Server
	stream    *stream.Stream
	parts     []service.Part
	addresses Addresses
	log       *slog.Logger
}

// New starts NATS and opens every listener, so that whatever is in the way is an error now. A Pipeline
// that New gave must be Run, which also closes it.
func New(ctx context.Context, o Options) (*Pipeline, error) {
	var err error
	if o.Files, err = filepath.Abs(o.Files); err != nil {
		return nil, err
	}
	f, err := openFolder(ctx, o.Data)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{folder: f, log: o.Log}
	if err := forgetAddresses(f.at(addressFile)); err != nil {
		f.close()
		return nil, err
	}
	if err := p.open(ctx, &o); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// open starts what listens; whatever it leaves open after an error, close closes.
func (p *Pipeline) open(ctx context.Context, o *Options) (err error) {
	if p.nats, err = natslocal.Start(natslocal.Options{Addr: o.NATS, Dir: p.folder.at("nats"), Log: o.Log}); err != nil {
		return fmt.Errorf("%w; is the port in use? choose another with --nats", err)
	}
	p.add("nats", p.nats.Run, p.nats.Ready)
	if err := p.connect(ctx); err != nil {
		return err
	}
	if err := p.join(ctx, o); err != nil {
		return err
	}
	return p.addresses.write(p.folder.at(addressFile))
}

func (p *Pipeline) connect(ctx context.Context) (err error) {
	p.stream, err = stream.Connect(ctx, stream.Options{URL: p.nats.URL(), Name: "tallyman-dev", Log: p.log})
	if err != nil {
		return err
	}
	return p.stream.Ensure(ctx, stream.DefaultSettings())
}

// Addresses is where everything listens.
func (p *Pipeline) Addresses() Addresses { return p.addresses }

// Run serves until ctx ends or a part fails, then ends everything in order: who sends before who receives.
func (p *Pipeline) Run(ctx context.Context) error {
	defer p.close()
	return service.Run(ctx, p.log, p.parts...)
}

func (p *Pipeline) close() {
	if p.stream != nil {
		p.stream.Close()
	}
	if p.nats != nil {
		p.nats.Stop()
	}
	_ = forgetAddresses(p.folder.at(addressFile)) // the next life does it in any case
	p.folder.close()
}

// WaitReady returns when every part can do its work.
func (p *Pipeline) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := service.Ready(ctx, p.parts)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// join makes the parts, each behind those that it needs.
func (p *Pipeline) join(ctx context.Context, o *Options) error {
	sqs, err := sqslocal.New(sqslocal.Options{Addr: o.SQS, Path: p.folder.at("sqs.db"), Log: p.log, Faults: o.Faults})
	if err != nil {
		return service.Elsewhere(err, "--sqs")
	}
	p.add("sqs", sqs.Run, nil)
	if err := sqs.EnsureQueues(ctx, &o.Config); err != nil {
		return errors.Join(err, sqs.Close())
	}
	client, err := queue.Open(ctx, queue.Options{Endpoint: sqs.URL(), Region: region, AccessKey: localKey, SecretKey: localKey})
	if err != nil {
		return err
	}
	w := &world{p: p, o: o, sqs: sqs, queue: client}
	for _, step := range []func(context.Context) error{w.buckets, w.aggregator, w.units, w.scheduler, w.webhooks, w.api, w.checkup, w.admin} {
		if err := step(ctx); err != nil {
			return errors.Join(err, sqs.Close())
		}
	}
	return nil
}

func (p *Pipeline) add(name string, run, ready func(context.Context) error) {
	p.parts = append(p.parts, service.Part{Name: name, Run: run, Ready: ready})
}
