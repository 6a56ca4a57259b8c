package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
)

// troubled is one queue for each thing that keeps a pod from beginning, and one of which all is well.
func troubled() string {
	queue := func(name, more string) string {
		return fmt.Sprintf(`{"name":%q,"image":%q,"resources":{"requests":{"cpu":"10m","memory":"16Mi"}},
			"types":[{"name":"well","command":["/toolbox","say","well"]}]%s}`, name, image, more)
	}
	return "queues=[" + strings.Join([]string{
		queue("crowded", `,"resources":{"requests":{"cpu":"500","memory":"16Mi"}}`),
		queue("imageless", `,"image":"localhost:5000/toolbox:gone"`),
		queue("secretless", `,"envFrom":[{"secretRef":{"name":"absent"}}]`),
		queue("volumeless", `,"volumes":[{"name":"keys","secret":{"secretName":"nowhere"}}],"volumeMounts":[{"name":"keys","mountPath":"/keys"}]`),
		queue("paused", ""), queue("unserved", ""), queue("refused", ""),
	}, ",") + "," + strings.TrimPrefix(own, "queues=[")
}

func (w *tallyman) explain(ctx context.Context, id string) (x contract.Explanation, err error) {
	err = w.ask(ctx, http.MethodGet, "/jobs/"+id+"/explain", nil, &x)
	return x, err
}

// comesTo waits until a job is in a situation of which these words are said.
func (w *tallyman) comesTo(id, situation string, words ...string) (x contract.Explanation) {
	w.t.Helper()
	w.Eventually(long, fmt.Sprintf("job %s is %s: %q", id, situation, words), func(ctx context.Context) (err error) {
		if x, err = w.explain(ctx, id); err != nil {
			return err
		}
		if x.Situation != situation {
			return fmt.Errorf("it is %s: %s", x.Situation, x.Sentence)
		}
		for _, word := range words {
			if !strings.Contains(x.Sentence, word) {
				return fmt.Errorf("it says: %s", x.Sentence)
			}
		}
		return nil
	})
	w.t.Logf("%s: %s → %s", situation, x.Sentence, strings.Join(x.Next, " → "))
	return x
}

// tells waits for a line of the evidence: who says a thing may say it later than the one who was heard first.
func (w *tallyman) tells(id string, from contract.EvidenceSource, words string) {
	w.t.Helper()
	w.Eventually(patience, fmt.Sprintf("of job %s %s says %q", id, from, words), func(ctx context.Context) error {
		x, err := w.explain(ctx, id)
		if err != nil {
			return err
		}
		for _, e := range x.Evidence {
			if e.Source == from && strings.Contains(e.Says, words) {
				return nil
			}
		}
		return fmt.Errorf("it is %s, and said is %+v", x.Situation, x.Evidence)
	})
}

// doctorSays waits for a line of the doctor's. A line that is not ok makes its answer a 503, with the same body.
func (w *tallyman) doctorSays(component, name string, ok bool, words string) {
	w.t.Helper()
	w.Eventually(long, fmt.Sprintf("%s of %s is %t: %q", name, component, ok, words), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.api+"/doctor", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		var d contract.Diagnosis
		if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&d); err != nil {
			return fmt.Errorf("%s: %w", response.Status, err)
		}
		for _, l := range d.Lines {
			if l.Component == component && l.Name == name && l.OK == ok && strings.Contains(l.Says, words) {
				return nil
			}
		}
		return fmt.Errorf("%s: %+v", response.Status, d.Lines)
	})
}

// command is what a step tells people to type.
var command = regexp.MustCompile("`(kubectl [^`]+)`")

// does what a step says: each of its commands, as it stands.
func (w *tallyman) does(step string) {
	w.t.Helper()
	found := command.FindStringSubmatch(step)
	if found == nil {
		w.t.Fatalf("there is nothing to type in %q", step)
	}
	for _, typed := range strings.Split(found[1], " && ") {
		w.Kubectl(strings.Fields(typed)[1:]...)
	}
}

// What keeps a pod from beginning is said in the words of whoever keeps it: the scheduler, the registry, the kubelet,
// KEDA, the quota. No job is lost by any of it.
func TestExplainWhatKeepsAPodFromBeginning(t *testing.T) {
	t.Parallel()
	w := install(t, troubled())
	toolbox(w.Cluster)
	submit := func(queue string) string {
		return w.submit(post{Queue: queue, Type: "well", Payload: map[string]any{}})
	}
	w.Kubectl("-n", w.namespace, "annotate", "scaledjob", "tallyman-queue-paused", "autoscaling.keda.sh/paused=true")
	w.Kubectl("-n", w.namespace, "delete", "scaledjob", "tallyman-queue-unserved")
	jobs := make(map[string]string)
	for _, q := range []string{"crowded", "imageless", "secretless", "volumeless", "paused", "unserved"} {
		jobs[q] = submit(q)
	}
	w.comesTo(jobs["crowded"], "unschedulable", "Insufficient cpu")
	w.tells(jobs["crowded"], contract.FromUnit, "Unschedulable")
	w.comesTo(jobs["imageless"], "image-pull", "toolbox:gone", "not found") // the latter are the registry's words
	x := w.comesTo(jobs["secretless"], "keda-not-ready", "absent")
	w.tells(jobs["secretless"], contract.FromKEDA, "Ready is False")
	w.comesTo(jobs["volumeless"], "missing-volume", `secret "nowhere" not found`)
	w.comesTo(jobs["paused"], "paused")
	w.tells(jobs["paused"], contract.FromKEDA, "Paused is True")
	w.comesTo(jobs["unserved"], "unserved")
	scaledJob := func(queue string) string { return "scaledjob " + w.namespace + "/tallyman-queue-" + queue }
	w.doctorSays("bridge", scaledJob("secretless"), false, "ScaledJobCheckFailed")
	w.doctorSays("bridge", scaledJob("paused"), true, "paused")
	w.doctorSays("bridge", scaledJob("crowded"), true, "ready, at most")
	w.doctorSays("bridge", "keda version", true, " when it made "+w.namespace)

	// Mended as each explanation says, they run.
	w.Kubectl("-n", w.namespace, "create", "secret", "generic", "absent", "--from-literal=A=b")
	w.Kubectl("-n", w.namespace, "create", "secret", "generic", "nowhere", "--from-literal=A=b")
	w.does(x.Next[len(x.Next)-1])
	w.Kubectl("-n", w.namespace, "annotate", "scaledjob", "tallyman-queue-paused", "autoscaling.keda.sh/paused-")
	for _, q := range []string{"secretless", "volumeless", "paused"} {
		w.comesTo(jobs[q], "succeeded")
	}
	w.doctorSays("bridge", scaledJob("secretless"), true, "ready, at most")

	// A quota, at last, since it holds for the whole namespace.
	w.Kubectl("-n", w.namespace, "create", "quota", "none", "--hard=pods=0")
	refused := submit("refused")
	w.comesTo(refused, "pods-refused", "exceeded quota: none")
	w.Kubectl("-n", w.namespace, "delete", "quota", "none")
	w.comesTo(refused, "succeeded")
}

// What Kubernetes does to a job that runs, and what is not known while no bridge looks.
func TestExplainWhatKubernetesDoesToAJob(t *testing.T) {
	t.Parallel()
	w := ownInstall(t)
	x := w.comesTo(w.submit(ownJob("eat")), "failed-oom-killed", "used more memory")
	for _, a := range x.Attempts {
		if a.Reason != contract.OOMKilled || a.Pod == "" || a.Node == "" {
			t.Errorf("%+v", a)
		}
	}
	due := w.submit(ownJob("one"))
	x = w.comesTo(due, "back-off", "failed", "begins in ")
	n := len(x.Attempts) // two, where this looked so late that the first back-off was over
	// Kubernetes counts from when the container ended, in whole seconds; we heard of the end from the work itself.
	least := time.Duration(10<<(n-1)) * time.Second
	if wait := x.Due.Sub(x.Attempts[n-1].EndedAt.Time); wait < least-2*time.Second || wait > least+patience/2 {
		t.Errorf("attempt %d is due %s after the one before it", n+1, wait)
	}
	w.comesTo(due, "failed-app-exit", "after 3 attempts", "exit code 1")

	waits := w.submit(ownJob("wait"))
	w.running(waits, 1)
	w.comesTo(waits, "running", "Attempt 1 runs")
	owner := w.unitOf(waits)
	w.Kubectl("-n", w.namespace, "scale", "deployment", "tallyman-bridge", "--replicas=0")
	w.comesTo(waits, "unwatched", "as far as its processor tells", "the bridge last told")
	w.tells(waits, contract.FromClaim, "Kubernetes Job "+owner+" owns run 1")
	// While nobody looks, nobody hears that it ends; then all of it is heard.
	w.Kubectl("-n", w.namespace, "delete", "job", owner)
	w.Kubectl("-n", w.namespace, "scale", "deployment", "tallyman-bridge", "--replicas=1")
	w.comesTo(waits, "failed-deleted", "somebody deleted")
}

// unitOf is the Kubernetes Job that owns a job, by the evidence of its claim.
func (w *tallyman) unitOf(id string) string {
	w.t.Helper()
	x, err := w.explain(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range x.Evidence {
		if name, ok := strings.CutPrefix(e.Says, "Kubernetes Job "); ok && e.Source == contract.FromClaim {
			return strings.Fields(name)[0]
		}
	}
	w.t.Fatalf("nobody owns %s: %+v", id, x.Evidence)
	return ""
}

// A node that does not answer is named, and so is the pod that nobody knows of any more. It runs alone: there is but one.
func TestExplainANodeThatDoesNotAnswer(t *testing.T) {
	sets := []string{own}
	for _, component := range []string{"api", "scheduler", "bridge", "aggregator", "nats", "sqs"} {
		sets = append(sets, component+".tolerations="+stays)
	}
	w := install(t, sets...)
	toolbox(w.Cluster)
	w.askThePod("api")
	id := w.submit(ownJob("wait"))
	pod := w.running(id, 1)
	w.Kill("kubelet")
	x := w.comesTo(id, "node-silent", "Node "+pod.Spec.NodeName+" does not answer", pod.Name)
	if len(x.Next) != 1 || !strings.Contains(x.Next[0], "kubectl describe node "+pod.Spec.NodeName) {
		t.Errorf("%q", x.Next)
	}
	// It is silent from the moment that the node is, and taken away some time after; a node that answers before that keeps it.
	w.evicted(pod.Name)
	w.Start("kubelet")
	w.running(id, 2)
}
