package program_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"tallyman/internal/program"
)

// A retention that outlives the stream's events is refused before anything is reached, in one line.
func TestRetentionLongerThanEventsAreKept(t *testing.T) {
	t.Parallel()
	var retention time.Duration
	var diag bytes.Buffer
	p := program.New("aggregator")
	p.NeedRetention(&retention, time.Hour, "how long")
	code := p.Main([]string{"--retention", "745h", "--replicas", "3"}, &diag, func(context.Context, *program.Program) error {
		t.Error("it went on")
		return nil
	})
	const want = "aggregator: --retention 745h0m0s: the stream keeps events for 744h0m0s"
	if said := diag.String(); code != 2 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, want) {
		t.Errorf("code %d: %s", code, said)
	}
}

// One that is as long as they are kept is let through: what fails then is another flag.
func TestRetentionAsLongAsEventsAreKept(t *testing.T) {
	t.Parallel()
	var retention time.Duration
	var diag bytes.Buffer
	p := program.New("aggregator")
	p.NeedRetention(&retention, time.Hour, "how long")
	code := p.Main([]string{"--retention", "744h", "--replicas", "1"}, &diag, func(context.Context, *program.Program) error {
		t.Error("it went on")
		return nil
	})
	if said := diag.String(); code != 2 || strings.Contains(said, "--retention") || !strings.Contains(said, "--replicas 1") {
		t.Errorf("code %d: %s", code, said)
	}
}
