package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
	"tallyman/test/cluster"
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

// tells wants a line of the evidence.
func (w *tallyman) tells(x contract.Explanation, from contract.EvidenceSource, words string) {
	w.t.Helper()
	for _, e := range x.Evidence {
		if e.Source == from && strings.Contains(e.Says, words) {
			return
		}
	}
	w.t.Errorf("%s: no evidence of %s says %q: %+v", x.Situation, from, words, x.Evidence)
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
	w.tells(w.comesTo(jobs["crowded"], "unschedulable", "Insufficient cpu"), contract.FromUnit, "Unschedulable")
	w.comesTo(jobs["imageless"], "image-pull", "toolbox:gone")
	x := w.comesTo(jobs["secretless"], "keda-not-ready", "absent")
	w.tells(x, contract.FromKEDA, "Ready is False")
	w.comesTo(jobs["volumeless"], "missing-volume", `secret "nowhere" not found`)
	w.tells(w.comesTo(jobs["paused"], "paused"), contract.FromKEDA, "Paused is True")
	w.comesTo(jobs["unserved"], "unserved")

	// Mended as each explanation says, they run.
	w.Kubectl("-n", w.namespace, "create", "secret", "generic", "absent", "--from-literal=A=b")
	w.Kubectl("-n", w.namespace, "create", "secret", "generic", "nowhere", "--from-literal=A=b")
	w.Kubectl("-n", w.namespace, "annotate", "scaledjob", "tallyman-queue-paused", "autoscaling.keda.sh/paused-")
	for _, q := range []string{"secretless", "volumeless", "paused"} {
		w.comesTo(jobs[q], "succeeded")
	}

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
	x = w.comesTo(due, "back-off", "Attempt 1 failed", "attempt 2 begins in ")
	if wait := x.Due.Sub(x.Attempts[0].EndedAt.Time); wait < 8*time.Second || wait > 13*time.Second {
		t.Errorf("the second attempt is due %s after the first", wait)
	}
	w.comesTo(due, "failed-app-exit", "after 3 attempts", "exit code 1")

	waits := w.submit(ownJob("wait"))
	w.running(waits, 1)
	w.comesTo(waits, "running", "Attempt 1 runs")
	owner := w.unitOf(waits)
	w.Kubectl("-n", w.namespace, "scale", "deployment", "tallyman-bridge", "--replicas=0")
	x = w.comesTo(waits, "unwatched", "as far as its processor tells", "the bridge last told")
	w.tells(x, contract.FromClaim, "Kubernetes Job "+owner+" owns run 1")
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
	w.Start("kubelet")
	w.Eventually(long, "the pod is gone", func(ctx context.Context) error {
		now, err := w.Client().CoreV1().Pods(w.namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err == nil && now.DeletionTimestamp == nil && now.Status.Phase == "Running" {
			return fmt.Errorf("it runs: %w", cluster.ErrNever)
		}
		if err == nil && now.Status.Phase == "Running" {
			return fmt.Errorf("it is still there")
		}
		return nil
	})
	w.running(id, 2)
}
