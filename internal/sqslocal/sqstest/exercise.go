package sqstest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Target is the server under test.
type Target struct {
	Endpoint string // such as http://127.0.0.1:9324
	Region   string // default us-east-1
	Account  string // default 000000000000

	// Differs names the checks that this server is known to fail, each with
	// what it does in place of what AWS says. A check in the list that passes,
	// and a name that is no check, fail the test.
	Differs map[string]string
}

// check is one thing that AWS says of SQS.
type check struct {
	name string
	run  func(*probe)
}

// limit is how long a check may take, the slowest server included.
const limit = time.Minute

func checks() []check {
	return slices.Concat(queueChecks, attributeChecks, messageChecks, messageAttributeChecks, batchChecks,
		visibilityChecks, receiptChecks, delayChecks, redriveChecks, pollChecks, protocolChecks)
}

// Exercise runs every check against the target, in parallel.
func Exercise(t *testing.T, target Target) {
	if target.Region == "" {
		target.Region = "us-east-1"
	}
	if target.Account == "" {
		target.Account = "000000000000"
	}
	all := checks()
	known := map[string]bool{}
	for _, c := range all {
		if known[c.name] {
			t.Errorf("two checks are called %q", c.name)
		}
		known[c.name] = true
	}
	for name := range target.Differs {
		if !known[name] {
			t.Errorf("Differs names %q, which is no check", name)
		}
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			why, differs := target.Differs[c.name]
			judge(t, target.attempt(t.Context(), c), why, differs)
		})
	}
}

// judge compares what happened with what is known of the target.
func judge(t *testing.T, failures []string, why string, differs bool) {
	switch {
	case differs && len(failures) == 0:
		t.Errorf("is listed as different (%s) and passes: take it off the list", why)
	case differs:
		t.Logf("differs, as listed (%s): %s", why, strings.Join(failures, "; "))
	default:
		for _, failure := range failures {
			t.Error(failure)
		}
	}
}

// attempt runs one check to its end, or to its first fatal failure, and
// returns what failed.
func (target Target) attempt(ctx context.Context, c check) []string {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := &probe{Context: ctx, target: target, client: NewClient(target.Endpoint, target.Region)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.recoverPanic()
		c.run(p)
	}()
	<-done
	return p.failures
}

// probe is what a check works with: a client, and a place for its failures.
// It is not a testing.T, because a check that fails may be what is expected.
type probe struct {
	context.Context
	target   Target
	client   *sqs.Client
	mu       sync.Mutex
	failures []string
}

func (p *probe) errorf(format string, values ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, fmt.Sprintf(format, values...))
}

// fatalf ends the check; it is called on the check's own goroutine only.
func (p *probe) fatalf(format string, values ...any) {
	p.errorf(format, values...)
	runtime.Goexit()
}

func (p *probe) recoverPanic() {
	if r := recover(); r != nil {
		p.errorf("panic: %v", r)
	}
}

// equal fails unless got is want.
func equal[T comparable](p *probe, what string, got, want T) {
	if got != want {
		p.errorf("%s is %v, want %v", what, got, want)
	}
}
