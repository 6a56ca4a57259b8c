package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// held is a queue beside the default one whose jobs wait, so that each post of an upgrade can be counted in SQS.
const held = `queues=[{"name":"default","types":[{"name":"process-data"}]},
	{"name":"held","paused":true,"types":[{"name":"probe"}]}]`

// Another image of the processor is for the jobs to come: those that run end in the one they began with. Another one of
// the api, in the same upgrade, refuses nobody who posts meanwhile.
func TestAnUpgradeOfTheProcessorKillsNoJob(t *testing.T) {
	t.Parallel()
	w := install(t, held, `api.replicas=2`)
	const running, more = 3, 3
	// Each pauses three times, in all for longer than an upgrade takes on a machine that has much else to do.
	older := w.submitAll(running, processData(map[string]any{"records": 300, "pauseMs": 50_000, "failureRate": 0}))
	w.Eventually(long, "all of them run", func(ctx context.Context) error { return w.inState(ctx, "running", running) })
	before, err := w.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _, oldAPI := w.Image("api")
	w.apisRun(oldAPI)

	tag, digest := w.Variant("processor", "next")
	apiTag, newAPI := w.Variant("api", "next")
	posting := w.postThroughout("held")
	w.Helm(w.helmArgs("upgrade", held, `api.replicas=2`,
		fmt.Sprintf(`api.image={"registry":%q,"repository":"tallyman/api","tag":%q}`, w.Registry(), apiTag),
		fmt.Sprintf(`processor.image={"registry":%q,"repository":"tallyman/processor","tag":%q}`, w.Registry(), tag))...)
	w.apisRun(newAPI)
	waiting := posting()
	if err := w.inState(t.Context(), "running", running); err != nil {
		t.Fatal("the upgrade took longer than the jobs, or ended them: ", err)
	}
	newer := w.submitAll(more, quick())
	for _, id := range append(older, newer...) {
		if j := w.becomes(id, "succeeded", long); len(j.Attempts) != 1 {
			t.Errorf("job %s has the attempts %+v", id, j.Attempts)
		}
	}
	w.settles(patience, map[string]int{"succeeded": running + more, "queued": len(waiting)})
	for _, id := range waiting {
		w.becomes(id, "queued", patience)
	}
	have, err := counts(t.Context(), w.sqs(), "held")
	if err != nil || have["ApproximateNumberOfMessages"] != strconv.Itoa(len(waiting)) {
		t.Errorf("of %d jobs posted throughout the upgrade SQS holds %v: %v", len(waiting), have, err)
	}

	all, err := w.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := map[string]bool{}
	for i := range before {
		old[before[i].Name] = true
	}
	if len(all) != running+more {
		t.Errorf("there are %d pods, want %d", len(all), running+more)
	}
	for i := range all {
		if is := runs(&all[i], "run", digest); is == old[all[i].Name] {
			t.Errorf("pod %s, made before the upgrade: %v, runs the newer image: %v", all[i].Name, old[all[i].Name], is)
		}
	}
}

// postThroughout posts job after job to a queue until it is told to end, and then gives their ids. Each post is asked
// once, over a connection of its own, so that Kubernetes sends it to any of the pods, and must be answered with 202.
func (w *tallyman) postThroughout(queue string) (end func() []string) {
	type answer struct {
		id  string
		err error
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	answers := make(chan answer, 10_000)
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		defer close(answers)
		body := fmt.Sprintf(`{"queue":%q,"type":"probe","payload":{"target":"127.0.0.1","duration":"1"}}`, queue)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for len(answers) < cap(answers) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			id, err := postOnce(w.t.Context(), client, w.api+"/jobs", body)
			answers <- answer{id, err}
		}
	}()
	w.t.Cleanup(cancel)
	return func() (ids []string) {
		w.t.Helper()
		cancel()
		known := map[string]bool{}
		for a := range answers {
			if a.err != nil {
				w.t.Errorf("after %d posts: %v", len(ids), a.err)
				continue
			}
			if known[a.id] {
				w.t.Errorf("job %s was made twice", a.id)
			}
			known[a.id] = true
			ids = append(ids, a.id)
		}
		if len(ids) < 20 {
			w.t.Errorf("only %d posts were made throughout", len(ids))
		}
		w.t.Logf("%d posts were answered with 202", len(ids))
		return ids
	}
}

// postOnce posts one job, and gives its id.
func postOnce(ctx context.Context, client *http.Client, url, body string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var receipt struct {
		JobID string `json:"jobId"`
	}
	err = json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&receipt)
	if response.StatusCode != http.StatusAccepted || err != nil || receipt.JobID == "" {
		return "", fmt.Errorf("it was answered with %s: %+v (%v)", response.Status, receipt, err)
	}
	return receipt.JobID, nil
}

// apisRun waits until there are two pods of the api and no other, both ready and of the image of this digest.
func (w *tallyman) apisRun(digest string) {
	w.t.Helper()
	w.Eventually(patience, "two pods of the api run "+digest, func(ctx context.Context) error {
		list, err := w.Client().CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=api"})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if p := &list.Items[i]; p.DeletionTimestamp != nil || !isReady(p) || !runs(p, "api", digest) {
				return fmt.Errorf("%s is going, not ready or of another image: %+v", p.Name, p.Status.ContainerStatuses)
			}
		}
		if len(list.Items) != 2 {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
}

// inState is nil where so many jobs are in a state.
func (w *tallyman) inState(ctx context.Context, state string, n int) error {
	var s stats
	if err := w.ask(ctx, "GET", "/jobs/stats", nil, &s); err != nil {
		return err
	}
	if s.Jobs[state] != n {
		return fmt.Errorf("%+v", s)
	}
	return nil
}

// runs tells whether a pod's container runs, or ran, the image of this digest.
func runs(pod *corev1.Pod, container, digest string) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == container {
			return strings.HasSuffix(c.ImageID, digest)
		}
	}
	return false
}
