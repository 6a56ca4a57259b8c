package localkube

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestSilence(t *testing.T) {
	t.Parallel()
	var s silence
	now := time.Unix(1000, 0)
	if got := s.most(20, now); got != 20 {
		t.Errorf("nothing went wrong: %d", got)
	}
	for i, pause := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		s.failed(now)
		pause *= time.Millisecond
		if got := s.most(20, now.Add(pause-1)); got != 0 {
			t.Errorf("after %d failures, before the pause: %d", i+1, got)
		}
		if got := s.most(0, now.Add(pause)); got != 0 {
			t.Errorf("none is wanted: %d", got)
		}
		if got := s.most(20, now.Add(pause)); got != 1 {
			t.Errorf("after %d failures, after the pause: %d", i+1, got)
		}
		if got := s.most(20, now.Add(2*pause-1)); got != 0 {
			t.Errorf("after %d failures, while the one that was made has not ended: %d", i+1, got)
		}
	}
	for range 100 { // a shift must not overflow
		s.failed(now)
	}
	if got := s.most(20, now.Add(maxSilence-1)); got != 0 {
		t.Errorf("after many failures: %d", got)
	}
	s.spoke()
	if got := s.most(20, now); got != 20 {
		t.Errorf("it works again: %d", got)
	}
	if !s.tells(now) || s.tells(now.Add(complainEvery-1)) || !s.tells(now.Add(complainEvery)) {
		t.Error("it is not complained of once a minute")
	}
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) all() []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	d := json.NewDecoder(bytes.NewReader(l.b.Bytes()))
	for d.More() {
		var line map[string]any
		if d.Decode(&line) != nil {
			break
		}
		all = append(all, line)
	}
	return all
}

// A processor that takes no job is complained of in one line that quotes it, and is not tried in a hot loop.
func TestAProcessorThatTakesNoJobIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, lastLine string }{
		"ends well":  {"#!/bin/sh\nexit 0\n", ""},
		"ends badly": {"#!/bin/sh\necho first\necho 'wrong moon' >&2\nexit 3\n", "wrong moon"},
		"never ends": {"#!/bin/sh\necho waiting\nexec sleep 600\n", "waiting"},
		"no program": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &lines{}
			path := filepath.Join(t.TempDir(), "mute")
			if c.script != "" {
				if err := os.WriteFile(path, []byte(c.script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			w := newWorld(t, func(o *Options) {
				o.Processor, o.ClaimPatience, o.Grace = path, 500*time.Millisecond, 100*time.Millisecond
				o.Log = slog.New(slog.NewJSONHandler(log, nil))
			}, "exit 0", "exit 0", "exit 0").run()
			began := time.Now()
			w.until("a complaint", func() bool { return len(log.all()) > 0 })
			line := log.all()[0]
			if line["level"] != "WARN" || line["queue"] != "q" || line["processor"] != path || line["lastLine"] != c.lastLine ||
				!strings.Contains(line["msg"].(string), "jobs wait") {
				t.Errorf("%v", line)
			}
			if name != "never ends" {
				w.until("a second try", func() bool { return len(w.kube.Jobs()) > 3 })
			}
			w.stop()
			// Three at once, then one at a time, 100ms after the one before and soon more seldom.
			if units, most := len(w.kube.Jobs()), 3+1+int(time.Since(began)/firstSilence); units > most {
				t.Errorf("%d units in %s", units, time.Since(began))
			}
			if n := len(log.all()); n != 1 {
				t.Errorf("%d complaints within a minute: %v", n, log.all())
			}
		})
	}
}

func TestTheLastLineOfAnOutput(t *testing.T) {
	t.Parallel()
	l, err := openLog(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct{ write, want string }{
		{"", ""}, {"a\n", "a"}, {"b", "b"}, {"c\n\n", "bc"}, {strings.Repeat("x", 3*maxLast), strings.Repeat("x", maxLast)}, {"\nend\xff", "end\uFFFD"},
	} {
		if _, err := l.Write([]byte(c.write)); err != nil {
			t.Fatal(err)
		}
		if got := l.lastLine(); got != c.want {
			t.Errorf("after %.20q: %q, want %q", c.write, got, c.want)
		}
	}
}

func TestAClaimThatEndsARunIsNotSilent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code    int32
		message string
		task    bool
		want    bool
	}{
		"took a task":            {0, "", true, true},
		"found none":             {0, `{"outcome":"none"}`, false, true},
		"ended without a word":   {0, "", false, false},
		"cancelled by request":   {86, `{"outcome":"cancelled","recorded":true}`, false, true},
		"out of attempts":        {65, `{"outcome":"failed","recorded":true}`, false, true},
		"wrong environment":      {65, `{"outcome":"none","recorded":false}`, false, false},
		"not our processor":      {1, "oops", false, false},
		"infrastructure is away": {75, "", false, false},
	} {
		ended := corev1.ContainerStateTerminated{ExitCode: c.code, Message: c.message}
		if got := didItsPart(ended, c.task); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
