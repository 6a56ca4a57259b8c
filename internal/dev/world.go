package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"tallyman/aggregator"
	"tallyman/api"
	"tallyman/bridge"
	"tallyman/contract"
	"tallyman/internal/audit"
	"tallyman/internal/dispatch"
	"tallyman/internal/doctor"
	"tallyman/internal/localkube"
	"tallyman/internal/program"
	"tallyman/internal/queue"
	"tallyman/internal/service"
	"tallyman/internal/sqslocal"
	"tallyman/internal/stream"
	"tallyman/scheduler"
	"tallyman/webhook"
)

// world is what the parts are joined from. Each method makes one part and adds it to the pipeline.
type world struct {
	p     *Pipeline
	o     *Options
	sqs   *sqslocal.Server
	queue *queue.Client

	claims, jobs, schedules, output, hooks, audit *stream.Bucket
}

func (w *world) buckets(ctx context.Context) error {
	for name, b := range map[string]**stream.Bucket{
		contract.BucketClaims: &w.claims, contract.BucketJobs: &w.jobs,
		contract.BucketSchedules: &w.schedules, contract.BucketOutput: &w.output, contract.BucketWebhooks: &w.hooks,
		contract.BucketAudit: &w.audit,
	} {
		var err error
		if *b, err = w.p.stream.Bucket(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// units is the stand-in for KEDA and Kubernetes, and before it the bridge, which tells what it does.
func (w *world) units(context.Context) error {
	config := w.p.folder.at("config.json")
	b, err := json.Marshal(contract.Config{Queues: w.o.Config.Queues}) // who is told of events is not the work's to know
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, b, 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(w.p.folder.at("store"), 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	kube, err := localkube.New(localkube.Options{
		Dir: w.p.folder.at("localkube"), Processor: w.o.Processor, Queues: w.kubeQueues(), Env: w.env(config),
		Cluster: cluster, Namespace: namespace, BackoffScale: w.o.BackoffScale, Grace: grace,
		Paused: w.o.Paused, Log: w.p.log,
	})
	if err != nil {
		return err
	}
	br, err := bridge.New(bridge.Options{
		Cluster: cluster, Namespaces: []string{namespace}, Kubernetes: kube, Claims: w.claims, Events: w.p.stream,
		Ledger: w.jobs, Scalers: kube, Sights: w.claims, BackoffScale: w.o.BackoffScale, Inventory: w.audit,
		Log: w.p.log,
	})
	if err != nil {
		return err
	}
	w.p.add("bridge", br.Run, br.Ready)
	w.p.add("localkube", kube.Run, nil)
	return nil
}

func (w *world) kubeQueues() []localkube.Queue {
	var all []localkube.Queue
	for i := range w.o.Config.Queues {
		q := &w.o.Config.Queues[i]
		all = append(all, localkube.Queue{
			Name: q.Name, Max: q.Max, Timeout: time.Duration(q.Timeout),
			Depth: func(ctx context.Context) (visible, inFlight, delayed int, err error) {
				c, err := w.queue.Counts(ctx, q.URL)
				return c.Visible, c.InFlight, c.Delayed, err
			},
			Env: []string{
				"TALLYMAN_QUEUE_URL=" + q.URL,
				"TALLYMAN_DEAD_LETTER_URL=" + q.DeadLetter,
			},
		})
	}
	return all
}

// env is what a pod's containers get here; on a cluster the chart renders the same.
func (w *world) env(config string) []string {
	env := []string{
		"TALLYMAN_CONFIG=" + config,
		"TALLYMAN_NATS_URL=" + w.p.nats.URL(),
		"TALLYMAN_RECEIVE_SECONDS=1",
		"TALLYMAN_GRACE_SECONDS=" + strconv.Itoa(int(grace/time.Second)-1), // of its own child, within ours
		"TALLYMAN_STORE_DIR=" + w.p.folder.at("store"),
		"TALLYMAN_DATA_DIR=" + w.o.Files,
		"AWS_ENDPOINT_URL_SQS=" + w.sqs.URL(),
		"AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + localKey,
		"AWS_SECRET_ACCESS_KEY=" + localKey,
		"AWS_EC2_METADATA_DISABLED=true",
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ", "TALLYMAN_LOG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (w *world) aggregator(context.Context) error {
	a, err := aggregator.New(aggregator.Options{
		Events: w.p.stream, Bucket: w.jobs, Lease: w.p.stream.Lease(contract.LeaseLedger, program.Holder()), Log: w.p.log,
		AcceptGapsTo: w.o.AcceptGapsTo,
	})
	if err != nil {
		return err
	}
	w.p.add("aggregator", a.Run, func(context.Context) error { return a.Ready() })
	return nil
}

func (w *world) scheduler(context.Context) error {
	d, err := w.dispatcher(contract.SourceScheduler)
	if err != nil {
		return err
	}
	auditor, err := w.auditor()
	if err != nil {
		return err
	}
	s, err := scheduler.New(scheduler.Options{
		Config: w.o.Config, Lease: w.p.stream.Lease(contract.LeaseScheduler, program.Holder()), Schedules: w.schedules,
		Ledger: w.jobs, Events: w.p.stream, Dispatcher: d, Counter: w.queue, DeadLetters: w.queue, Auditor: auditor,
		AcceptedAfter: w.o.AcceptedAfter, QueuedAfter: scheduler.DefaultQueuedAfter, Log: w.p.log,
	})
	if err != nil {
		return err
	}
	w.p.add("scheduler", s.Run, s.Ready)
	return nil
}

func (w *world) webhooks(context.Context) error {
	hooks, err := webhook.New(webhook.Options{
		Hooks: w.o.Config.Webhooks, Lease: w.p.stream.Lease(contract.LeaseWebhooks, program.Holder()), Events: w.p.stream,
		Records: w.hooks, Log: w.p.log,
	})
	if err != nil {
		return err
	}
	w.p.add("webhooks", hooks.Run, nil)
	return nil
}

func (w *world) dispatcher(source contract.Source) (*dispatch.Dispatcher, error) {
	return dispatch.New(dispatch.Options{
		Source: source, Config: w.o.Config, Events: w.p.stream, Sender: w.queue, Claims: w.claims, Log: w.p.log,
	})
}

// auditor is one of the scheduler's and one of the api's: each remembers what it suspects.
func (w *world) auditor() (*audit.Auditor, error) {
	return audit.New(audit.Options{
		Config: w.o.Config, Events: w.p.stream, Replay: func() audit.Replay { return aggregator.NewReplay(w.p.stream, w.jobs, 0) },
		Ledger: w.jobs, Claims: w.claims, Records: w.audit, Counter: w.queue, CounterLag: counterLag,
		QueuedAfter: scheduler.DefaultQueuedAfter, Log: w.p.log,
	})
}

func (w *world) api(context.Context) error {
	d, err := w.dispatcher(contract.SourceAPI)
	if err != nil {
		return err
	}
	auditor, err := w.auditor()
	if err != nil {
		return err
	}
	srv, err := api.New(api.Options{
		Addr: w.o.API, IndexPath: w.p.folder.at("index.db"), Config: w.o.Config, Jobs: w.jobs, Schedules: w.schedules,
		Ticks: w.schedules, Output: w.output, Webhooks: w.hooks, Events: w.p.stream, Signals: w.p.stream, Dispatch: d,
		Cron: program.Cron(scheduler.Next), Past: &aggregator.Past{Events: w.p.stream, Kept: w.jobs},
		Claims: w.claims, Counter: w.queue, Remarks: w.p.stream, Auditor: auditor, Reports: w.audit,
		AcceptedAfter: w.o.AcceptedAfter, QueuedAfter: scheduler.DefaultQueuedAfter, Log: w.p.log,
	})
	if err != nil {
		return service.Elsewhere(err, "--api")
	}
	w.p.add("api", srv.Run, srv.Ready)
	w.p.addresses.API = "http://" + srv.Addr()
	return nil
}

// checkup tells how all of it is, as each program does on a cluster.
func (w *world) checkup(context.Context) error {
	books := &doctor.Books{Events: w.p.stream, Ledger: w.jobs, Audits: w.audit}
	parts := w.p.parts
	self := &doctor.Self{Component: doctor.OneProcess, Instance: program.Holder(), Records: w.audit, Log: w.p.log, Checks: func() []doctor.Check {
		checks := append(doctor.Parts(parts), doctor.Streams(w.p.stream, stream.DefaultSettings)...)
		return append(append(checks, doctor.Queues(w.queue, &w.o.Config)...), books.Lags()...)
	}}
	w.p.add("checkup", self.Run, nil)
	return nil
}

// admin is last, so that it answers while everything else ends.
func (w *world) admin(context.Context) error {
	admin, err := service.NewAdmin(w.o.Admin, w.p.parts)
	if err != nil {
		return err
	}
	w.p.parts = append([]service.Part{{Name: "admin", Run: admin.Run}}, w.p.parts...)
	a := &w.p.addresses
	a.Admin, a.SQS, a.NATS, a.Queues = admin.URL(), w.sqs.URL(), w.p.nats.URL(), make(map[string]string)
	for _, q := range w.o.Config.Queues {
		a.Queues[q.Name] = q.URL
	}
	return nil
}
