package pipeline

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/internal/testenv"
)

// A processor that never says a word is named in the log, is not tried in a hot loop, and costs nobody a
// job: with the real one in its place all of them end.
func TestAProcessorThatNeverSaysAWordLosesNothing(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"exits well":  "#!/bin/sh\nexit 0\n",
		"exits badly": "#!/bin/sh\necho 'cannot find my library' >&2\nexit 1\n",
		"sleeps":      "#!/bin/sh\nexec sleep 600\n",
		"is gone":     "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			processor := filepath.Join(t.TempDir(), "processor")
			if err := os.WriteFile(processor, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			p := newProgram(t, "--processor", processor, "--backoff-scale", "0.01")
			p.start()
			if script == "" {
				if err := os.Remove(processor); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			const n = 5
			ids := p.world().postAll(n, quick)
			if name != "sleeps" { // of that one it is said later than a test waits: localkube's own test has it
				p.expectComplaint(processor)
			}
			until(p.world(), "some more pods", func() int { return len(p.unitsMade()) }, func(made int) bool { return made > 1 })
			// At most five at once, then one at a time, ever more seldom.
			if made, most := len(p.unitsMade()), n+1+int(time.Since(began)/(100*time.Millisecond)); made > most {
				t.Errorf("%d units in %s", made, time.Since(began))
			}
			s := p.world().stats()
			p.world().balanced(s)
			if code := p.stop(); code != 0 {
				t.Errorf("exit %d", code)
			}
			install(t, testenv.Binary(t, "processor"), processor)
			p.start()
			s = p.world().atRest(n)
			if s.SucceedJob != n || s.FailedJob != 0 {
				t.Errorf("%+v", s)
			}
			for _, id := range ids {
				if j := p.world().get(id); j.State != contract.StateSucceeded {
					t.Errorf("%+v", j)
				}
			}
		})
	}
}

// expectComplaint waits for one line at warn level that names the processor.
func (p *program) expectComplaint(processor string) {
	p.t.Helper()
	until(p.world(), "a complaint of the processor", func() []string { return p.complaints("jobs wait") },
		func(lines []string) bool { return len(lines) > 0 })
	lines := p.complaints("jobs wait")
	if len(lines) != 1 || !strings.Contains(lines[0], processor) || !strings.Contains(lines[0], `"level":"WARN"`) {
		p.t.Errorf("%q", lines)
	}
}

// complaints are the lines of the log that hold a word.
func (p *program) complaints(word string) []string {
	p.t.Helper()
	f, err := os.Open(p.log.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	var found []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.Contains(s.Text(), word) && json.Valid(s.Bytes()) {
			found = append(found, s.Text())
		}
	}
	return found
}

// unitsMade lists the units that the data folder knows.
func (p *program) unitsMade() []string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.data, "localkube", "units", "*.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

// install puts a program in another's place.
func install(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", b, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}
