package program_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"tallyman/internal/program"
)

// A retention that outlives the stream's events is refused before anything is reached, in one line; one that is as long
// as they are kept is let through, and what fails then is another flag.
func TestRetentionIsAtMostAsLongAsEventsAreKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, replicas, says string }{
		{"745h", "3", "aggregator: --retention 745h0m0s: the stream keeps events for 744h0m0s"},
		{"744h", "1", "aggregator: --replicas 1"},
	} {
		var retention time.Duration
		var diag bytes.Buffer
		p := program.New("aggregator")
		p.NeedRetention(&retention, time.Hour, "how long")
		code := p.Main([]string{"--retention", c.given, "--replicas", c.replicas}, &diag, func(context.Context, *program.Program) error {
			t.Error("it went on")
			return nil
		})
		if said := diag.String(); code != 2 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, c.says) {
			t.Errorf("code %d: %s", code, said)
		}
	}
}
