package program_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
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

// A retention that a message of a queue may outlive is refused before anything is reached, beside what else is wrong.
func TestRetentionIsLongerThanSQSKeepsAMessage(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "queues: [{name: a, retention: 1h, types: [{name: probe}]}, {name: b, retention: 48h, types: [{name: probe}]}]"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for given, refused := range map[string]bool{"48h": true, "49h": false} {
		var retention time.Duration
		var diag bytes.Buffer
		p := program.New("api")
		p.NeedConfig()
		p.NeedRetention(&retention, time.Hour, "how long")
		args := []string{"--config", config, "--retention", given, "--replicas", "1"}
		code := p.Main(args, &diag, func(context.Context, *program.Program) error {
			t.Error("it went on")
			return nil
		})
		said := strings.Contains(diag.String(), "--retention 48h0m0s: SQS keeps a message for up to 48h0m0s")
		if code != 2 || said != refused || !strings.Contains(diag.String(), "--replicas 1") {
			t.Errorf("%s: code %d: %s", given, code, diag.String())
		}
	}
}
