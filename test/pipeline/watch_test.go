package pipeline

import (
	"bufio"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// followed is a command that says a line whenever something happens.
type followed struct {
	t     *testing.T
	lines chan string
	stop  func()
}

func follow(t *testing.T, args ...string) *followed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	cmd := command(ctx, t, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &followed{t: t, lines: make(chan string, 1000)}
	go func() {
		defer close(f.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			f.lines <- s.Text()
		}
	}()
	f.stop = func() { cancel(); _ = cmd.Wait() } // it is killed
	t.Cleanup(f.stop)
	return f
}

// next gives the next line.
func (f *followed) next() string {
	f.t.Helper()
	line, ok := <-f.lines
	if !ok {
		f.t.Fatal("it ended")
	}
	return line
}

func TestEventsAreFollowedAndTakenUpAgain(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	first := w.post("process-data", quick)
	w.ended(first)
	f := follow(t, "events", "-f", "--server", w.API, "--since", "1h", "--event", "submitted,succeeded", "--type", "process-data")
	var seq string
	for _, kind := range []string{"submitted", "succeeded"} {
		line := f.next()
		if !strings.Contains(line, first) || !strings.Contains(line, kind) {
			t.Errorf("%q", line)
		}
		seq, _, _ = strings.Cut(line, " ")
	}
	f.stop()
	second := w.post("process-data", quick)
	w.ended(second)
	again := follow(t, "events", "-f", "--server", w.API, "--after", seq, "--event", "submitted")
	if line := again.next(); !strings.Contains(line, second) {
		t.Errorf("%q", line)
	}
	if got := tallyman(t, "events", first, "--event", "queued", "--server", w.API); got.code != 0 || strings.Count(got.out, "\n") != 1 {
		t.Errorf("%+v", got)
	}
	if got := tallyman(t, "events", "-f", "--after", "1", "--since", "1h", "--server", w.API); got.code != 2 || !oneLine(got.err, "since") {
		t.Errorf("%+v", got)
	}
}

func TestWatchSaysEachChange(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	f := follow(t, "watch", "-o", "json", "--server", w.API)
	until(w, "the first line", func() int {
		w.ended(w.post("process-data", quick))
		return len(f.lines)
	}, func(n int) bool { return n > 0 })
	last := w.post("process-data", quick)
	states := make(map[string][]string)
	for !strings.HasSuffix(strings.Join(states[last], " "), "succeeded") {
		var s struct{ JobID, State, Type string }
		if err := json.Unmarshal([]byte(f.next()), &s); err != nil {
			t.Fatal(err)
		}
		states[s.JobID] = append(states[s.JobID], s.State)
	}
	if got := strings.Join(states[last], " "); !strings.HasSuffix(got, "running succeeded") {
		t.Errorf("states %s", got)
	}
}
