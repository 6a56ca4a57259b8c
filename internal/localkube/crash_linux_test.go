package localkube

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
)

// Only Linux tells where a process works, so only there can those be found who left their group.

// TestStragglers leaves a child of a child behind that has left its process group.
func TestStragglers(t *testing.T) {
	t.Parallel()
	work := `[ $attempt = 2 ] && exit 0; setsid sh -c 'echo $$ >"$FAKE/straggler"; exec sleep 1000' & echo $$ >"$FAKE/began"; exec sleep 1000`
	w := newWorld(t, nil, work)
	kill := w.parent()
	w.onDisk("began")
	pid := w.onDisk("straggler")
	kill()
	w.run()
	w.finished(1)
	w.dead(pid)
}

// TestStragglerOfAKilledAttempt has one attempt killed, while what it started lives in another group.
func TestStragglerOfAKilledAttempt(t *testing.T) {
	t.Parallel()
	work := `[ $attempt = 2 ] && exit 0; setsid sh -c 'echo $$ >"$FAKE/straggler"; exec sleep 1000' &
until [ -s "$FAKE/straggler" ]; do sleep 0.01; done; kill -9 $$`
	w := newWorld(t, nil, work).run()
	w.finished(1)
	w.dead(w.onDisk("straggler"))
}

// TestKilledAtRandom kills the program again and again under load. At the end every message has been
// worked on to its end, and no two attempts of a unit ever lived at one time.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	const messages, kills = 20, 10
	work := `alive="$FAKE/alive.$TALLYMAN_UNIT"
[ -s "$alive" ] && grep -q ') [^Z]' "/proc/$(cat "$alive")/stat" 2>/dev/null && echo "$TALLYMAN_UNIT" >>"$FAKE/overlap"
echo $$ >"$alive"; echo 1 >"$FAKE/began"; sleep 0.3; echo "$TALLYMAN_UNIT" >>"$FAKE/done"; rm -f "$alive"`
	var tasks []string
	for range messages {
		tasks = append(tasks, work)
	}
	w := newWorld(t, nil, tasks...)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range kills {
		kill := w.parent()
		if i%2 == 0 { // half of them certainly while work is done, half at any moment at all
			w.onDisk("began")
		}
		<-time.After(time.Duration(random.IntN(150)) * time.Millisecond)
		kill()
		if err := os.RemoveAll(filepath.Join(w.dir, "began")); err != nil {
			t.Fatal(err)
		}
	}
	w.run()
	w.until("every message to be worked on", func() bool {
		left, _, _, err := w.depth(t.Context())
		if err != nil || left > 0 {
			return false
		}
		for _, j := range w.kube.Jobs() {
			if !jobOver(j) {
				return false
			}
		}
		return true
	})
	if w.exists("overlap") {
		t.Errorf("two attempts of a unit at one time: %s", w.onDisk("overlap"))
	}
	units := make(map[string]bool)
	for _, unit := range strings.Fields(w.onDisk("done")) {
		units[unit] = true
	}
	if len(units) != messages {
		t.Errorf("%d of %d messages were worked on to their end", len(units), messages)
	}
	pods := 0
	for _, j := range w.kube.Jobs() {
		if !jobCondition(j, batchv1.JobComplete) || j.Status.Failed != 0 {
			t.Errorf("unit %s: %+v", j.Name, j.Status)
		}
		pods += len(w.pods(j))
	}
	if pods <= messages {
		t.Errorf("%d pods for %d messages: no kill hit any work", pods, messages)
	}
}
