package api

import (
	"strings"
	"testing"
	"time"
)

func TestOptionsNameEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Addr: "nowhere", MaxStreams: -1, PastBytes: 1, Heartbeat: time.Minute, Timeout: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{
		"Addr", "Config", "Jobs", "Schedules", "Ticks", "Output", "Webhooks", "Events", "Signals", "Dispatch", "Cron", "MaxStreams", "PastBytes", "Heartbeat", "Timeout",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
}
