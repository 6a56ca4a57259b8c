package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
)

// storm is a long run with faults: jobs keep coming while the parts that count them are killed. Of each part there are two.
type storm struct {
	*tallyman
	sqs *outsideSQS
	ids []string

	fallen, heir string // the bridge that led and was killed, and the one that stood by then
}

const (
	stormQueue = "storm"
	stormKills = 20 // of the bridge
)

// kinds are the jobs of the storm: of each five, three end well, one of them at its second attempt; one fails for good,
// and one after three attempts.
func kinds() []post {
	work := func(payload map[string]any) post {
		payload["records"] = 100
		return post{Queue: stormQueue, Type: "process-data", Payload: payload}
	}
	return []post{
		work(map[string]any{"failureRate": 0, "pauseMs": 0}),
		work(map[string]any{"failureRate": 0, "pauseMs": 4000}),
		work(map[string]any{"failureRate": 0, "pauseMs": 0, "failAttempts": 1}),
		work(map[string]any{"failureRate": 0, "pauseMs": 0, "misspelt": true}), // fails for good
		work(map[string]any{"failureRate": 1, "pauseMs": 0}),
	}
}

// After every fault, the books balance and are what Kubernetes and SQS say, job by job.
func TestTheBooksAgreeWithKubernetesAndSQSAfterManyFaults(t *testing.T) {
	w := prepare(t)
	s := &storm{tallyman: w, sqs: serveSQS(t, stormQueue)}
	w.Kubectl("-n", w.namespace, "create", "secret", "generic", keysSecret,
		"--from-literal=AWS_ACCESS_KEY_ID=any", "--from-literal=AWS_SECRET_ACCESS_KEY=any")
	w.install(append(s.sqs.sets(),
		fmt.Sprintf(`queues=[{"name":%q,"url":%q,"deadLetter":%q,"max":8,"types":[{"name":"process-data"}]}]`,
			stormQueue, s.sqs.url(stormQueue), s.sqs.url(stormQueue+"-dead")),
		`keda.historyLimit=1000`, `api.replicas=2`, `scheduler.replicas=2`, `bridge.replicas=2`, `aggregator.replicas=2`)...)

	faults := s.drawn(t, []func(){
		func() { s.sqs.answers503(30 * time.Second) },
		func() { s.killed("nats") },
		func() { w.Kill("kube-apiserver"); w.Start("kube-apiserver") },
		func() { w.Kill("keda"); w.Start("keda") },
		func() { s.killed("aggregator") },
		func() { s.ledgerMoves() },
		func() { s.killed("scheduler") },
		func() { s.killed("api") },
	})
	for kill := range stormKills {
		if fault := faults[kill]; fault != nil {
			fault()
		}
		s.post(kill)
		s.killBridge(kill, faults[kill] == nil)
	}
	s.leads(s.fallen)
	sum := w.allEnd(len(s.ids), 2*long)
	t.Logf("%d jobs, %d kills, %d answers of 503: %+v", len(s.ids), stormKills, s.sqs.refused(), sum)
	if s.sqs.refused() == 0 {
		t.Error("SQS refused nothing, so that nothing was tried")
	}
	w.agrees(s.sqs.endpoint, stormQueue, s.ids)
	w.verified()
}

// drawn puts each fault before a kill of the bridge that is drawn by lot. The seed is printed, and SEED draws the same
// again.
func (s *storm) drawn(t *testing.T, faults []func()) map[int]func() {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if again := os.Getenv("SEED"); again != "" {
		var err error
		if seed, err = strconv.ParseUint(again, 10, 64); err != nil {
			t.Fatalf("SEED: %v", err)
		}
	}
	t.Logf("SEED=%d", seed)
	kills := rand.New(rand.NewPCG(seed, 0)).Perm(stormKills)
	drawn := make(map[int]func(), len(faults))
	for i, fault := range faults {
		drawn[kills[i]] = fault
	}
	return drawn
}

// post submits a batch, again and again until it is taken: the key makes a repeat the same job.
func (s *storm) post(batch int) {
	s.t.Helper()
	for i, p := range kinds() {
		key := fmt.Sprintf("%d-%d", batch, i)
		var receipt struct {
			JobID string `json:"jobId"`
		}
		s.Eventually(long, "job "+key+" is taken", func(ctx context.Context) error {
			return s.askWith(ctx, http.Header{"Idempotency-Key": {key}}, http.MethodPost, "/jobs", p, &receipt)
		})
		s.ids = append(s.ids, receipt.JobID)
	}
}

// killBridge kills, of four times, the bridge that leads twice; the one that came in the place of the first of those, so
// that the other one has to lead; and both, so that whoever comes waits for its predecessor's Lease to end. undisturbed
// says that no other fault decides who leads.
func (s *storm) killBridge(kill int, undisturbed bool) {
	s.t.Helper()
	switch kill % 4 {
	case 0, 2:
		leader, standby := s.leads(s.fallen), ""
		if kill%4 == 2 && undisturbed && leader != s.heir {
			s.t.Errorf("bridge %s was killed while it led, %s stood by, and %s leads", s.fallen, s.heir, leader)
		}
		s.Eventually(long, "another bridge stands by", func(ctx context.Context) (err error) {
			standby, err = s.other(ctx, "bridge", leader)
			return err
		})
		s.KillPod(s.namespace, leader, "bridge")
		s.t.Logf("kill %d: bridge %s led, %s stood by", kill, leader, standby)
		s.fallen, s.heir = leader, standby
	case 1:
		s.Eventually(long, "a third bridge has come", func(ctx context.Context) error {
			third, err := s.other(ctx, "bridge", s.heir)
			if err == nil {
				s.KillPod(s.namespace, third, "bridge")
			}
			return err
		})
	case 3:
		s.killed("bridge")
	}
}

// leads waits until the Lease is held by a bridge that is there, and is not the one that was killed.
func (s *storm) leads(fallen string) (leader string) {
	s.t.Helper()
	s.Eventually(long, "a bridge leads", func(ctx context.Context) error {
		lease, err := s.Client().CoordinationV1().Leases(s.namespace).Get(ctx, "tallyman-bridge", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lease.Spec.HolderIdentity == nil {
			return errors.New("nobody holds the Lease")
		}
		leader, _, _ = strings.Cut(*lease.Spec.HolderIdentity, "/")
		if leader == fallen {
			return fmt.Errorf("%s does, which was killed", leader)
		}
		_, err = s.Client().CoreV1().Pods(s.namespace).Get(ctx, leader, metav1.GetOptions{})
		return err
	})
	return leader
}

// other is a pod of a component that is ready, beside the one of this name.
func (s *storm) other(ctx context.Context, component, name string) (string, error) {
	list, err := s.Client().CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + component})
	if err != nil {
		return "", err
	}
	for i := range list.Items {
		if p := &list.Items[i]; p.Name != name && p.DeletionTimestamp == nil && isReady(p) {
			return p.Name, nil
		}
	}
	return "", fmt.Errorf("none of %d is ready beside %s", len(list.Items), name)
}

// ledgerMoves kills the aggregator that commits, and waits until another one does.
func (s *storm) ledgerMoves() {
	s.t.Helper()
	js := s.jetStream()
	commits := func(ctx context.Context, fallen string) (string, error) {
		leases, err := js.KeyValue(ctx, contract.BucketLeases)
		if err != nil {
			return "", err
		}
		held, err := leases.Get(ctx, contract.LeaseLedger)
		if err != nil {
			return "", err
		}
		holder, _, _ := strings.Cut(string(held.Value()), "/")
		if holder == fallen {
			return "", fmt.Errorf("%s does", holder)
		}
		return holder, nil
	}
	var leader, next string
	s.Eventually(long, "an aggregator commits, and another is warm", func(ctx context.Context) (err error) {
		if leader, err = commits(ctx, ""); err == nil {
			_, err = s.other(ctx, "aggregator", leader)
		}
		return err
	})
	s.KillPod(s.namespace, leader, "aggregator")
	s.Eventually(long, "another aggregator commits", func(ctx context.Context) (err error) {
		next, err = commits(ctx, leader)
		return err
	})
	s.t.Logf("aggregator %s committed and was killed; now %s does", leader, next)
}

// killed waits until a component runs, and kills all of it.
func (s *storm) killed(component string) {
	s.t.Helper()
	s.Eventually(long, "a container "+component+" is killed", func(context.Context) error {
		if s.KillPods(s.namespace, "app.kubernetes.io/component="+component, component) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}
