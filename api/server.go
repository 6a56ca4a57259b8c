package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/feed"
)

// Limits of a connection and of a request.
const (
	maxPostBody    = 300 << 10 // of one post: 256 KiB of task, and room for how it may be spelled
	maxBatchBody   = 8 << 20
	maxHeaders     = 16 << 10
	writeBuffer    = 16 << 10 // of a connection: the stats of some queues go out in one write, and in two take twice as long
	maxConnections = 8192
	readTimeout    = 30 * time.Second // of a whole request, its body included
	idleTimeout    = 2 * time.Minute
	answerTimeout  = 30 * time.Second // of writing an answer that ends
	drainTimeout   = 10 * time.Second
)

// Server answers HTTP. Make one with New, and let it Run.
type Server struct {
	log    *slog.Logger
	now    func() time.Time
	random io.Reader

	config    contract.Config
	schemas   map[string]*payloadSchema
	token     [32]byte // the hash of the bearer token
	closed    bool     // a token is asked for
	timeout   time.Duration
	heartbeat time.Duration
	writing   time.Duration // how long a client that follows may leave its window full

	acceptedAfter, queuedAfter time.Duration // the scheduler's

	events    Events
	signals   Signals
	dispatch  Dispatcher
	output    Getter
	hooks     HookStore
	claims    Getter
	counter   Counter
	remarks   Remarks
	cron      Cron
	past      *past
	store     ScheduleStore
	jobs      Watcher
	ticks     Watcher
	reports   Watcher
	audits    *audits
	purging   chan struct{} // one at a time
	purgeFor  time.Duration // how long a purge begins to cancel more
	checkups  *checkups
	ledger    *ledger
	words     *words
	feed      *feed.Feed
	progress  *progress
	schedules *schedules
	rendered  renderings // of the stats, for those who follow them
	waiting   waiting

	app      *fiber.App
	process  string        // begins every request id made here
	requests atomic.Uint64 // counts them
	listener net.Listener
	own      []byte        // its address, as most clients name it
	loopback bool          // it serves this machine alone
	streams  chan struct{} // a place for each client that follows events
	base     context.Context
	cancel   context.CancelFunc
	leaving  context.Context // ends before base does: streams end first, requests are finished
	leave    context.CancelFunc
}

// New checks o and listens at once, so that a taken port is an error and not a log line.
func New(o Options) (*Server, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	token, err := o.token()
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	schemas, err := compileSchemas(o.Config)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	index, err := openIndex(o.IndexPath)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("api: %w", err), listener.Close())
	}
	bells := newBells()
	s := &Server{
		log: o.Log, now: o.Now, random: o.Random,
		config: o.Config, schemas: schemas, token: hashToken(token), closed: token != "",
		timeout: o.Timeout, heartbeat: o.Heartbeat, writing: writeTimeout, acceptedAfter: o.AcceptedAfter, queuedAfter: o.QueuedAfter,
		events: o.Events, signals: o.Signals, dispatch: o.Dispatch, output: o.Output, hooks: o.Webhooks,
		cron: o.Cron, past: newPast(o.Past), claims: o.Claims, counter: o.Counter, remarks: o.Remarks,
		store: o.Schedules, jobs: o.Jobs, ticks: o.Ticks, reports: o.Reports, audits: newAudits(o.Auditor), checkups: newCheckups(),
		purging: make(chan struct{}, 1), purgeFor: o.Timeout,
		ledger: newLedger(o.Log, index, bells), words: newWords(o.Events), feed: feed.New(o.Events, o.Log, feed.Options{PastBytes: o.PastBytes}),
		progress: newProgress(bells, o.Now), schedules: newSchedules(),
		listener: listener, own: []byte(listener.Addr().String()), loopback: isLoopback(listener.Addr()),
		streams: make(chan struct{}, o.MaxStreams),
	}
	s.process = s.newID()[24:] + "-"
	s.base, s.cancel = context.WithCancel(context.Background())
	s.leaving, s.leave = context.WithCancel(s.base)
	s.app = fiber.New(fiber.Config{
		Immutable: true, // what a handler keeps must not change under it
		// Fiber would answer in plain text.
		ErrorHandler:          s.fail,
		CaseSensitive:         true,
		DisableStartupMessage: true,
		BodyLimit:             maxBatchBody,
		ReadBufferSize:        maxHeaders,
		WriteBufferSize:       writeBuffer,
		Concurrency:           maxConnections,
		ReadTimeout:           readTimeout,
		IdleTimeout:           idleTimeout,
		WriteTimeout:          answerTimeout, // streams set a deadline of their own before each write
	})
	s.app.Server().Handler = s.knownMethods(s.app.Server().Handler)
	s.app.Use(s.around)
	s.routes()
	return s, nil
}

// knownMethods answers a method that Fiber has never heard of, which it would do in plain text.
func (s *Server) knownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if slices.ContainsFunc(fiber.DefaultMethods, func(m string) bool { return m == string(ctx.Method()) }) {
			next(ctx)
			return
		}
		c := s.app.AcquireCtx(ctx)
		defer s.app.ReleaseCtx(c)
		if err := s.fail(c, contract.Errorf(contract.CodeMalformed, "", "no such method is known to HTTP")); err != nil {
			s.log.Error("request went wrong", "error", err)
		}
	}
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, finishes the requests that are under way, and then lets go of what they read.
func (s *Server) Run(ctx context.Context) error {
	defer s.ledger.index.close()
	defer s.cancel()
	work, ctxWork := errgroup.WithContext(s.base)
	work.Go(func() error { return s.ledger.run(ctxWork, s.jobs) })
	work.Go(func() error { return s.schedules.run(ctxWork, s.ticks) })
	work.Go(func() error { return s.feed.Run(ctxWork) })
	work.Go(func() error { return s.runAudits(ctxWork, s.reports) })
	work.Go(func() error { return s.runCheckups(ctxWork, s.reports) })
	work.Go(func() error { return s.progress.run(ctxWork, s.signals) })
	work.Go(func() error { return s.app.Listener(s.listener) })
	work.Go(func() error {
		select {
		case <-ctx.Done():
		case <-ctxWork.Done():
		}
		s.leave()
		err := s.app.ShutdownWithTimeout(drainTimeout)
		_ = s.listener.Close() // closed already, unless it was never served
		s.cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			// One that a client opened and never used is enough, and ends with the process as well.
			s.log.Warn("connections were still open when the time to end had passed; they are cut", "after", drainTimeout)
			return nil
		}
		return err
	})
	if err := work.Wait(); err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) {
		return fmt.Errorf("api: %w", err)
	}
	return nil
}

// Ready tells whether jobs can be taken and the books answer.
func (s *Server) Ready(ctx context.Context) error {
	if err := s.ledger.ready(ctx); err != nil {
		return err
	}
	return s.signals.Ready(ctx)
}

// routes are those of openapi.yaml; a test compares the two. The one that is read most stands first.
func (s *Server) routes() {
	const job = "/jobs/:jobId<guid>"
	s.app.Get("/jobs/stats", s.guard(s.jobStats))
	s.app.Post("/jobs", s.guard(bare(s.submitJob)))
	s.app.Get("/jobs", s.guard(s.listJobs))
	s.app.Post("/jobs/batch", s.guard(bare(s.submitBatch)))
	s.app.Get("/jobs/events", s.guard(s.followEvents))
	s.app.Post("/jobs/schedule", s.guard(bare(s.createSchedule)))
	s.app.Get(job, s.guard(bare(s.getJob)))
	s.app.Delete(job, s.guard(bare(s.cancelJob)))
	s.app.Post(job+"/requeue", s.guard(bare(s.requeueJob)))
	s.app.Get(job+"/events", s.guard(s.jobEvents))
	s.app.Get(job+"/logs", s.guard(s.jobLogs))
	s.app.Get(job+"/explain", s.guard(bare(s.explainJob)))
	s.app.Get("/doctor", s.guard(bare(s.diagnose)))
	s.app.Get("/audit", s.guard(bare(s.lastAudit)))
	s.app.Post("/audit", s.guard(bare(s.auditNow)))
	s.app.Post("/queues/:queue/purge", s.guard(s.purgeQueue))
	s.app.Get("/schedules", s.guard(bare(s.listSchedules)))
	s.app.Get("/schedules/:scheduleId", s.guard(bare(s.getSchedule)))
	s.app.Delete("/schedules/:scheduleId", s.guard(bare(s.deleteSchedule)))
	s.app.Get("/webhooks", s.guard(bare(s.listWebhooks)))
	s.app.Post("/webhooks/:name/replay", s.guard(bare(s.replayWebhook)))
	s.app.Get("/healthz", s.health)
	s.app.Get("/readyz", s.ready)
	s.serveDocs()
}

// work bounds what one request may take.
func (s *Server) work() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.base, s.timeout)
}
