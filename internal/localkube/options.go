package localkube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
)

// Defaults of Options; those that Kubernetes or KEDA has too are theirs.
const (
	DefaultPoll    = 100 * time.Millisecond
	DefaultGrace   = 30 * time.Second
	DefaultTTL     = time.Hour
	DefaultHistory = 100
	// DefaultClaimPatience is longer than a processor that works ever claims: it waits for messages, and
	// bears with NATS and SQS, for less.
	DefaultClaimPatience = 90 * time.Second
	minPoll              = time.Millisecond
	maxHistory           = 10_000
	maxEnv               = 1000
)

// Depth asks how many messages a queue has: visible, in flight, delayed. Only what is visible makes units.
type Depth func(ctx context.Context) (visible, inFlight, delayed int, err error)

// Queue is what one ScaledJob would say.
type Queue struct {
	Name    string
	Max     int           // units that run at a time
	Timeout time.Duration // of an attempt; the Kubernetes Job's deadline is 3 times that and an hour
	Depth   Depth
	Env     []string // KEY=value for this queue's containers, beside Options.Env
}

// Options is what a Kube is made of.
type Options struct {
	Dir       string // its data folder, its own alone; whoever runs it holds a lock around it
	Processor string // path of the processor's binary
	Queues    []Queue
	Env       []string // KEY=value: all that containers get beside what localkube adds; nothing is inherited
	Cluster   string   // "local" by default
	Namespace string   // "default" by default
	Node      string   // "localhost" by default

	Paused bool // no units are made, as with KEDA's annotation; those that there are go on

	Poll         time.Duration // how often the queues are asked; 100ms by default
	BackoffScale float64       // of Kubernetes' 10s, 20s, ... between attempts; 1 by default
	Grace        time.Duration // from SIGTERM to SIGKILL; 30s by default
	TTL          time.Duration // how long a finished unit is kept; 1h by default
	History      int           // finished units kept of each queue, as many succeeded as failed; 100 by default

	ClaimPatience time.Duration // a claim that takes longer is complained of; 90s by default

	Clock  clockwork.Clock // the real one by default
	Random io.Reader       // crypto/rand by default
	Log    *slog.Logger
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o *Options) setDefaults() {
	orDefault(&o.Cluster, "local")
	orDefault(&o.Namespace, "default")
	orDefault(&o.Node, "localhost")
	orDefault(&o.Poll, DefaultPoll)
	orDefault(&o.BackoffScale, 1)
	orDefault(&o.Grace, DefaultGrace)
	orDefault(&o.TTL, DefaultTTL)
	orDefault(&o.History, DefaultHistory)
	orDefault(&o.ClaimPatience, DefaultClaimPatience)
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) validate() error {
	var faults []error
	fault := func(bad bool, field, why string) {
		if bad {
			faults = append(faults, fmt.Errorf("localkube: %s: %s", field, why))
		}
	}
	fault(o.Dir == "", "Dir", "a folder is needed")
	fault(o.Processor == "", "Processor", "the path of the processor's binary is needed")
	fault(len(o.Queues) == 0 || len(o.Queues) > contract.MaxQueues, "Queues", fmt.Sprintf("1 to %d are needed", contract.MaxQueues))
	fault(!contract.ValidLabel(o.Cluster, contract.MaxNameBytes), "Cluster", "must be a printable name")
	fault(!contract.ValidLabel(o.Namespace, contract.MaxNameBytes), "Namespace", "must be a printable name")
	fault(!contract.ValidLabel(o.Node, contract.MaxNameBytes), "Node", "must be a printable name")
	fault(o.Poll < minPoll, "Poll", fmt.Sprintf("%s must be at least %s", o.Poll, minPoll))
	fault(o.BackoffScale < 0 || o.BackoffScale > 1000, "BackoffScale", "must be 0 to 1000")
	fault(o.Grace < 0 || o.Grace > time.Hour, "Grace", "must be 0 to 1h")
	fault(o.TTL < 0, "TTL", "must not be negative")
	fault(o.ClaimPatience < 0, "ClaimPatience", "must not be negative")
	fault(o.History < 1 || o.History > maxHistory, "History", fmt.Sprintf("must be 1 to %d", maxHistory))
	faults = append(faults, checkEnv("Env", o.Env))
	seen := make(map[string]bool)
	for i := range o.Queues {
		q := &o.Queues[i]
		at := fmt.Sprintf("Queues[%d]", i)
		fault(!contract.ValidToken(q.Name), at+".Name", fmt.Sprintf("%q must be 1 to 64 of A-Z a-z 0-9 _ -", q.Name))
		fault(seen[q.Name], at+".Name", fmt.Sprintf("%q stands twice", q.Name))
		fault(q.Max < 1 || q.Max > 10_000, at+".Max", fmt.Sprintf("%d must be 1 to 10000", q.Max))
		fault(q.Timeout <= 0, at+".Timeout", "is needed")
		fault(q.Depth == nil, at+".Depth", "is needed")
		faults = append(faults, checkEnv(at+".Env", q.Env))
		seen[q.Name] = true
	}
	return errors.Join(faults...)
}

func checkEnv(field string, env []string) error {
	if len(env) > maxEnv {
		return fmt.Errorf("localkube: %s: %d variables, at most %d are allowed", field, len(env), maxEnv)
	}
	for i, kv := range env {
		if key, _, ok := strings.Cut(kv, "="); !ok || key == "" || strings.ContainsRune(kv, 0) {
			return fmt.Errorf("localkube: %s[%d]: must be KEY=value", field, i) // the value may be a secret
		}
	}
	return nil
}

// deadline is the Kubernetes Job's: it counts waiting too, so an attempt's own timeout is the processor's.
func (q *Queue) deadline() time.Duration { return 3*q.Timeout + time.Hour }
