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
)

// storm is a long run with faults: jobs keep coming while the parts that count them are killed.
type storm struct {
	*tallyman
	sqs *outsideSQS
	ids []string
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
		`keda.historyLimit=1000`)...)

	faults := s.drawn(t, []func(){
		func() { s.sqs.answers503(30 * time.Second) },
		func() { s.killed("nats") },
		func() { w.Kill("kube-apiserver"); w.Start("kube-apiserver") },
		func() { w.Kill("keda"); w.Start("keda") },
		func() { s.killed("aggregator") },
		func() { s.killed("aggregator") },
		func() { s.killed("scheduler") },
		func() { s.killed("api") },
	})
	for kill := range stormKills {
		if fault := faults[kill]; fault != nil {
			fault()
		}
		s.post(kill)
		if kill%2 == 0 {
			s.bridgeLeads() // half of the kills hit one at work, half one that waits for its predecessor's Lease to end
		}
		s.killed("bridge")
	}
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

// bridgeLeads waits until the Lease is held by a bridge that is there.
func (s *storm) bridgeLeads() {
	s.t.Helper()
	s.Eventually(long, "a bridge leads", func(ctx context.Context) error {
		lease, err := s.Client().CoordinationV1().Leases(s.namespace).Get(ctx, "tallyman-bridge", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lease.Spec.HolderIdentity == nil {
			return errors.New("nobody holds the Lease")
		}
		holder, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "/")
		_, err = s.Client().CoreV1().Pods(s.namespace).Get(ctx, holder, metav1.GetOptions{})
		return err
	})
}

// killed waits for a container of a component that runs, and kills it.
func (s *storm) killed(component string) {
	s.t.Helper()
	s.Eventually(long, "a container "+component+" is killed", func(context.Context) error {
		if s.KillPods(s.namespace, "app.kubernetes.io/component="+component, component) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}
