package pipeline

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tallyman/contract"
	"tallyman/internal/sqslocal"
)

// quick is a job that ends well at once.
const quick = `{"records":10,"pauseMs":0,"failureRate":0}`

// While SQS is away every post is taken, and sent once SQS is back.
func TestJobsAreTakenWhileSQSIsAway(t *testing.T) {
	t.Parallel()
	faults := sqslocal.NewFaults(1)
	w := start(t, func(o *optionsOfDev) { o.Faults, o.AcceptedAfter = faults, time.Second })
	back := faults.Add(sqslocal.Fault{Kind: sqslocal.Unavailable, Share: 1})
	const n = 20
	states := make([]contract.State, n)
	var posts errgroup.Group
	for i := range n {
		posts.Go(func() error {
			status, b, err := ask(t.Context(), http.MethodPost, w.API+"/jobs", `{"type":"process-data","payload":`+quick+`}`, nil)
			if err != nil || status != http.StatusAccepted {
				return fmt.Errorf("POST /jobs: %d %s: %w", status, b, err)
			}
			var r struct{ State contract.State }
			err = json.Unmarshal(b, &r)
			states[i] = r.State
			return err
		})
	}
	if err := posts.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, s := range states {
		if s != contract.StateAccepted {
			t.Errorf("job %d was answered %q while SQS was away", i, s)
		}
	}
	until(w, "accepted jobs in the books", w.stats, func(s contract.Stats) bool {
		w.balanced(s)
		return s.Jobs.Accepted == n
	})
	back()
	s := w.atRest(n)
	if s.SucceedJob != n || s.FailedJob != 0 {
		t.Errorf("%+v", s)
	}
	if faults.Count(sqslocal.Unavailable) == 0 {
		t.Error("SQS was never away")
	}
}

// A fifth of all messages comes twice, and a tenth of all answers is lost: every job is still counted once.
func TestDuplicatesAndLostAnswersAreCountedOnce(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	faults := sqslocal.NewFaults(seed)
	faults.Add(sqslocal.Fault{Kind: sqslocal.Duplicate, Share: 0.2})
	faults.Add(sqslocal.Fault{Kind: sqslocal.LoseResponse, Share: 0.1})
	w := start(t, func(o *optionsOfDev) {
		o.Faults, o.AcceptedAfter = faults, 2*time.Second
		o.Config.Queues[0].Visibility = contract.Duration(5 * time.Second)
	})
	const n = 300
	w.postAll(n, quick)
	s := w.atRest(n)
	if s.SucceedJob != n || s.FailedJob != 0 || s.JobRetry != 0 || s.Attempts.Failed != 0 {
		t.Errorf("%+v", s)
	}
	if s.Units.Duplicate == 0 || faults.Count(sqslocal.Duplicate) == 0 || faults.Count(sqslocal.LoseResponse) == 0 {
		t.Errorf("duplicates dropped %d, made %d; answers lost %d", s.Units.Duplicate,
			faults.Count(sqslocal.Duplicate), faults.Count(sqslocal.LoseResponse))
	}
	readHistory(t, w.NATS).oneOwner(t)
}

// postAll posts n jobs in one request and gives their ids.
func (w *world) postAll(n int, payload string) []string {
	w.t.Helper()
	return w.batch(n, func(int) string { return `{"type":"process-data","payload":` + payload + `}` })
}

func (w *world) batch(n int, post func(int) string) []string {
	w.t.Helper()
	posts := make([]string, n)
	for i := range posts {
		posts[i] = post(i)
	}
	status, b := w.do(http.MethodPost, "/jobs/batch", "["+strings.Join(posts, ",")+"]")
	var answer struct {
		Results []struct {
			Status int
			JobID  string
		}
	}
	w.read(b, &answer)
	if status != http.StatusOK || len(answer.Results) != n {
		w.t.Fatalf("POST /jobs/batch: %d %.200s", status, b)
	}
	ids := make([]string, n)
	for i, a := range answer.Results {
		if a.Status != http.StatusAccepted {
			w.t.Fatalf("post %d of a batch: %+v", i, a)
		}
		ids[i] = a.JobID
	}
	return ids
}

// gate holds the work of any number of jobs back until it is opened: each leaves its name and waits for a
// lock that the test has.
type gate struct {
	w    *world
	dir  string
	lock *os.File
}

const gateScript = `: >"$1/in/$TALLYMAN_JOB_ID" && exec flock -s "$1/lock" true`

// 300 jobs at a hundred at a time, [L8], with a hundred messages sent twice by somebody else, [B18]: the
// sums are exact.
func TestAHundredAtATimeAreCountedExactly(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	const n, most, copies = 300, 100, 100
	g.w = start(t, func(o *optionsOfDev) {
		q := &o.Config.Queues[0]
		q.Max, q.Visibility = most, contract.Duration(10*time.Minute)
		q.Types = append(q.Types, contract.JobType{Name: "gate", Command: []string{"sh", "-c", gateScript, "sh", g.dir}, Timeout: q.Timeout})
	})
	ids := g.w.batch(n, func(int) string { return `{"type":"gate"}` })
	until(g.w, "a hundred at work", g.arrived, func(in int) bool { return in >= most })
	s := until(g.w, "a hundred in the books", g.w.stats, func(s contract.Stats) bool { return s.Jobs.Submitted == n && s.Jobs.Running >= most })
	if s.Jobs.Running != most {
		t.Errorf("%+v", s.Jobs)
	}
	for _, id := range ids[n-copies:] {
		g.w.sendAgain(id)
	}
	if in := g.arrived(); in != most {
		t.Errorf("%d at work, at most %d are allowed", in, most)
	}
	g.open()
	s = g.w.atRest(n)
	if s.SucceedJob != n || s.FailedJob != 0 || s.JobRetry != 0 || s.Attempts.Total != n || s.Attempts.Succeeded != n {
		t.Errorf("%+v", s)
	}
	s = until(g.w, "every copy dropped", g.w.stats, func(s contract.Stats) bool { return s.Units.Duplicate >= copies })
	if s.Units.Duplicate != copies || s.Jobs.Submitted != n {
		t.Errorf("%+v", s.Units)
	}
	readHistory(t, g.w.NATS).oneOwner(t)
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(g.dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.lock, err = os.OpenFile(filepath.Join(g.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.lock.Close() })
	if err := flock(g.lock, true); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gate) arrived() int {
	in, err := os.ReadDir(filepath.Join(g.dir, "in"))
	if err != nil {
		g.w.t.Fatal(err)
	}
	return len(in)
}

func (g *gate) open() {
	g.w.t.Helper()
	if err := flock(g.lock, false); err != nil {
		g.w.t.Fatal(err)
	}
}

// sendAgain puts the envelope of a job on its queue once more, past everybody.
func (w *world) sendAgain(id string) {
	w.t.Helper()
	_, err := askSQS(w.t.Context(), w.SQS, "SendMessage", map[string]any{
		"QueueUrl": w.Queues[contract.DefaultQueue], "MessageBody": w.envelope(id),
		"MessageAttributes": map[string]any{contract.AttributeVersion: map[string]any{"DataType": "String", "StringValue": "1"}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// envelope is a job's task as it stands on the stream.
func (w *world) envelope(id string) string {
	w.t.Helper()
	_, b := w.do(http.MethodGet, "/jobs/"+id+"/events", "")
	var history struct {
		Events []struct {
			Event struct{ Data struct{ Task []byte } }
		}
	}
	w.read(b, &history)
	for _, e := range history.Events {
		if task := e.Event.Data.Task; len(task) > 0 {
			return string(task)
		}
	}
	w.t.Fatalf("job %s has no task on the stream: %s", id, b)
	return ""
}
