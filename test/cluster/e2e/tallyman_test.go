package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/test/cluster"
)

// chart is this checkout's own, as seen from where the tests run.
const chart = "../../../charts/tallyman"

// tallyman is one install, in a namespace of the test's own, and what clients are told by it.
type tallyman struct {
	*cluster.Cluster
	t         *testing.T
	namespace string
	api       string
	wait      bool // an install or an upgrade is over when everything is ready
}

// install puts the chart of this checkout on the cluster, with NATS and SQS of its own, as `make cluster` does; sets
// are Helm's. KEDA asks every second, so that tests need not wait for it.
func install(t *testing.T, sets ...string) *tallyman {
	t.Helper()
	w := prepare(t)
	w.install(sets...)
	return w
}

// prepare makes the namespace of an install, for what must be there before it.
func prepare(t *testing.T) *tallyman {
	t.Helper()
	c := cluster.Join(t)
	w := &tallyman{Cluster: c, t: t, namespace: c.Namespace(), wait: true}
	w.api = "http://" + c.Service(w.namespace, "tallyman-api", 8080)
	return w
}

func (w *tallyman) install(sets ...string) {
	w.t.Helper()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if w.t.Failed() {
			w.show(ctx)
		}
	})
	w.Helm(w.helmArgs("install", sets...)...)
	if w.wait {
		w.isReachable()
	}
}

// isReachable waits until the api's Service leads to a pod: kube-proxy learns of a Ready pod after everybody else does,
// and refuses connections until then.
func (w *tallyman) isReachable() {
	w.t.Helper()
	w.Eventually(patience, "the api's Service leads to a pod", func(ctx context.Context) error {
		return w.ask(ctx, http.MethodGet, "/jobs/stats", nil, nil)
	})
}

// helmArgs are those of an install or an upgrade of what was installed, with all its values.
func (w *tallyman) helmArgs(verb string, sets ...string) []string {
	args := []string{
		verb, "tallyman", chart, "--namespace", w.namespace, "--values", "../try.yaml", "--timeout", "4m",
		"--set", "keda.pollingInterval=1",
	}
	if w.wait {
		args = append(args, "--wait")
	}
	for _, component := range []string{"api", "scheduler", "bridge", "aggregator"} {
		args = append(args, "--set-json", component+".replicas=1") // what sets say comes later, and goes before it
	}
	for _, set := range sets {
		args = append(args, "--set-json", set)
	}
	return args
}

// show says what the install thinks of itself, for whoever reads why a test failed.
func (w *tallyman) show(ctx context.Context) {
	var stats json.RawMessage
	if err := w.ask(ctx, http.MethodGet, "/jobs/stats", nil, &stats); err != nil {
		w.t.Log(err)
	}
	w.t.Logf("stats: %s", stats)
}

// ask sends one request and decodes a good answer into out.
func (w *tallyman) ask(ctx context.Context, method, path string, body, out any) error {
	return w.askWith(ctx, http.Header{}, method, path, body, out)
}

// askWith is ask with headers.
func (w *tallyman) askWith(ctx context.Context, header http.Header, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, w.api+path, content)
	if err != nil {
		return err
	}
	request.Header = header
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// post is a job as a client posts it.
type post struct {
	Queue   string `json:"queue,omitempty"`
	Type    string `json:"type,omitempty"`
	Payload any    `json:"payload"`
	Timeout int    `json:"timeoutSeconds,omitempty"`
}

// quick is a job that ends well at once, failing one that never does.
func quick() post { return processData(map[string]any{"records": 1, "pauseMs": 0, "failureRate": 0}) }

func failing() post { return processData(map[string]any{"records": 1, "pauseMs": 0, "failureRate": 1}) }

func processData(payload map[string]any) post { return post{Type: "process-data", Payload: payload} }

// submit posts a job and gives its id.
func (w *tallyman) submit(p post) string {
	w.t.Helper()
	var receipt struct {
		JobID string `json:"jobId"`
	}
	if err := w.ask(w.t.Context(), http.MethodPost, "/jobs", p, &receipt); err != nil {
		w.t.Fatal(err)
	}
	return receipt.JobID
}

// submitAll posts many jobs in one request and gives their ids.
func (w *tallyman) submitAll(n int, p post) []string {
	w.t.Helper()
	posts := make([]post, n)
	for i := range posts {
		posts[i] = p
	}
	var answer struct {
		Accepted int `json:"accepted"`
		Results  []struct {
			JobID string `json:"jobId"`
		} `json:"results"`
	}
	if err := w.ask(w.t.Context(), http.MethodPost, "/jobs/batch", posts, &answer); err != nil {
		w.t.Fatal(err)
	}
	if answer.Accepted != n {
		w.t.Fatalf("%d of %d were accepted: %+v", answer.Accepted, n, answer.Results)
	}
	ids := make([]string, n)
	for i, r := range answer.Results {
		ids[i] = r.JobID
	}
	return ids
}

// job is what the api shows of one.
type job struct {
	JobID    string    `json:"jobId"`
	State    string    `json:"state"`
	Source   string    `json:"source"`
	Attempts []attempt `json:"attempts"`
	Runs     []jobRun  `json:"runs"`
	Rerun    *rerun    `json:"rerun"`
}

type jobRun struct {
	Run     int    `json:"run"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
}

// rerun is the run that a failed job gets by itself.
type rerun struct {
	Run    int    `json:"run"`
	Source string `json:"source"`
	Number int    `json:"number"`
	Most   int    `json:"most"`
}

type attempt struct {
	Run      int    `json:"run"`
	Attempt  int    `json:"attempt"`
	Ending   string `json:"ending"`
	Reason   string `json:"reason"`
	ExitCode *int   `json:"exitCode"`
	Unit     string `json:"unit"`
	PodName  string `json:"podName"`
}

func (w *tallyman) job(ctx context.Context, id string) (job, error) {
	var j job
	err := w.ask(ctx, http.MethodGet, "/jobs/"+id, nil, &j)
	return j, err
}

// becomes waits until a job is in a state, and fails at once where it has ended in another.
func (w *tallyman) becomes(id, state string, within time.Duration) (j job) {
	w.t.Helper()
	w.Eventually(within, "job "+id+" is "+state, func(ctx context.Context) (err error) {
		if j, err = w.job(ctx, id); err != nil {
			return err
		}
		switch {
		case j.State == state:
			return nil
		case j.State == "succeeded" || j.State == "failed" || j.State == "cancelled":
			return fmt.Errorf("%w: it is %s: %+v", cluster.ErrNever, j.State, j)
		}
		return fmt.Errorf("it is %s: %+v", j.State, j)
	})
	return j
}

// stats are the books, as far as these tests read them.
type stats struct {
	SucceedJob int            `json:"succeedJob"`
	FailedJob  int            `json:"failedJob"`
	JobRetry   int            `json:"jobRetry"`
	Balanced   bool           `json:"balanced"`
	Jobs       map[string]int `json:"jobs"`
	Attempts   map[string]int `json:"attempts"`
	Units      map[string]int `json:"units"`
	Failures   map[string]int `json:"failures"`
}

func (w *tallyman) stats() stats {
	w.t.Helper()
	var s stats
	if err := w.ask(w.t.Context(), http.MethodGet, "/jobs/stats", nil, &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// settles waits until the books balance and so many jobs are in each state named; all others are in none.
func (w *tallyman) settles(within time.Duration, want map[string]int) (s stats) {
	w.t.Helper()
	w.Eventually(within, fmt.Sprintf("the books hold %v", want), func(ctx context.Context) error {
		s = stats{}
		if err := w.ask(ctx, http.MethodGet, "/jobs/stats", nil, &s); err != nil {
			return err
		}
		sum := 0
		for state, n := range want {
			sum += n
			if s.Jobs[state] != n {
				return fmt.Errorf("%+v", s)
			}
		}
		if !s.Balanced || s.Jobs["submitted"] != sum {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	return s
}

// units are the Kubernetes Jobs that KEDA has made here.
func (w *tallyman) units(ctx context.Context) ([]batchv1.Job, error) {
	list, err := w.Client().BatchV1().Jobs(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "scaledjob.keda.sh/name"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// pods are those of the units.
func (w *tallyman) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := w.Client().CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/controller-uid"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// allDone waits until every unit is finished, and gives them.
func (w *tallyman) allDone(within time.Duration) (all []batchv1.Job) {
	w.t.Helper()
	w.Eventually(within, "every Kubernetes Job is finished", func(ctx context.Context) (err error) {
		if all, err = w.units(ctx); err != nil {
			return err
		}
		for i := range all {
			if !finished(&all[i]) {
				return fmt.Errorf("%s is not: %+v", all[i].Name, all[i].Status)
			}
		}
		return nil
	})
	return all
}

func finished(j *batchv1.Job) bool {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
