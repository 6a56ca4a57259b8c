package kube

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"tallyman/bridge"
	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/internal/testenv"
)

// unit is a file of the bridge's testdata: what Kubernetes and the bucket hold of one.
type unit struct {
	Job   *batchv1.Job    `json:"job"`
	Pods  []*corev1.Pod   `json:"pods"`
	Claim json.RawMessage `json:"claim"`
}

// put writes a unit of the bridge's testdata into cell and bucket, without pods under another name if one
// is given, and gives its Kubernetes Job.
func put(t *testing.T, c *cell, claims *stream.Bucket, file, name string) *batchv1.Job {
	t.Helper()
	b, err := os.ReadFile("../testdata/units/" + file + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var u unit
	if err := yaml.Unmarshal(b, &u); err != nil {
		t.Fatal(err)
	}
	claim, err := contract.DecodeUnit(u.Claim)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		u.Job.Name, u.Job.UID = name, types.UID("uid-"+name)
		claim.Name, claim.Unit = name, "uid-"+name
		claim.JobID, u.Pods = contract.KeyID("test", name), nil
	}
	value, err := claim.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claims.Put(t.Context(), contract.UnitKey(claim.Queue, claim.Unit), value); err != nil {
		t.Fatal(err)
	}
	c.put(u.Job)
	for _, p := range u.Pods {
		c.put(p)
	}
	return u.Job
}

func bucket(t *testing.T, s *stream.Stream, name string) *stream.Bucket {
	t.Helper()
	b, err := s.Bucket(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// claimed waits until the claim of a Kubernetes Job is closed and said, and gives it.
func claimed(t *testing.T, claims *stream.Bucket, j *batchv1.Job) (u contract.UnitRecord) {
	t.Helper()
	until(t, "the claim of "+j.Name+" to be said", func() bool {
		u = claimOf(t, claims, j)
		return u.Said
	})
	return u
}

func claimOf(t *testing.T, claims *stream.Bucket, j *batchv1.Job) contract.UnitRecord {
	t.Helper()
	e, err := claims.Get(t.Context(), contract.UnitKey(j.Annotations[contract.AnnotationQueue], string(j.UID)))
	if err != nil {
		t.Fatal(err)
	}
	u, err := contract.DecodeUnit(e.Value)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func isSaid(t *testing.T, claims *stream.Bucket, j *batchv1.Job) bool {
	t.Helper()
	return claimOf(t, claims, j).Said
}

// until looks again and again until ok.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// said lists what is on the stream, as run/attempt/event.
func said(t *testing.T, s *stream.Stream) (ids []string) {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := max(info.First, 1); seq <= info.Last; seq++ {
		e, err := s.Event(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, strings.TrimPrefix(e.Event.ID(), e.Event.JobID+"/"))
	}
	return ids
}

// ofBoth is what is said of one unit whose three attempts failed and of another that was removed.
var ofBoth = []string{
	"1/0/failed", "1/0/failed", "1/1/attempt-failed", "1/1/attempt-failed", "1/1/claimed", "1/1/claimed", "1/2/attempt-failed", "1/3/attempt-failed",
}

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

// options are a bridge's over a cell and a NATS of the test's own.
func options(t *testing.T, c *cell, s *stream.Stream) bridge.Options {
	return bridge.Options{
		Cluster: "prod-eu", Namespaces: []string{"jobs"}, Kubernetes: informers(t, c), Events: s,
		Claims: bucket(t, s, contract.BucketClaims), Ledger: bucket(t, s, contract.BucketJobs),
		Clock: clockwork.NewRealClock(), Sweep: time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// run runs a bridge until the test ends or stop is called.
func run(t *testing.T, o bridge.Options) (stop func()) {
	t.Helper()
	b, err := bridge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestTellsOfAJobThatEndedWhileTheBridgeWasDown runs a whole bridge on the API server and a real NATS.
func TestTellsOfAJobThatEndedWhileTheBridgeWasDown(t *testing.T) {
	t.Parallel()
	c, s := newCell(t, true), testenv.NATS(t)
	claims := bucket(t, s, contract.BucketClaims)
	ended := put(t, c, claims, "exit1-thrice-1.33", "")
	gone := put(t, c, claims, "running-1.35", "gone") // made, and removed while nobody looked
	c.remove(gone)
	run(t, options(t, c, s))
	claimed(t, claims, ended)
	if u := claimed(t, claims, gone); u.Reason != contract.Deleted {
		t.Errorf("reason %s, want Deleted", u.Reason)
	}
	if d := cmp.Diff(ofBoth, sorted(said(t, s))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	asked := c.count()
	if asked["watch jobs"] != 1 || asked["watch pods"] != 1 || asked["list jobs"] != 0 {
		t.Errorf("asked %v, want one watch for each kind", asked)
	}
}

// replica runs a whole bridge as cmd/bridge puts it together, on a clock of the test's, until the test ends or
// stop is called.
func replica(t *testing.T, c *cell, s *stream.Stream, holder string, clock clockwork.Clock) (lease *Lease, stop func()) {
	t.Helper()
	o := options(t, c, s)
	lease = NewLease(c.dial(), "tallyman", "bridge", holder, clock)
	o.Leader, o.ClusterUID, o.Marks, o.Clock = lease, c.dial(), bucket(t, s, contract.BucketClaims), clock
	o.KubernetesEvents, o.Scaling = o.Kubernetes.(*Informers), s
	return lease, run(t, o)
}

// TestAReplicaTakesOver has two bridges: one tells what it sees, the other watches; when the first ends, the
// second goes on where it stopped.
func TestAReplicaTakesOver(t *testing.T) {
	t.Parallel()
	c, s, clock := newCell(t, true), testenv.NATS(t), clockwork.NewFakeClockAt(noon)
	c.put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "uid-of-prod"}})
	claims := bucket(t, s, contract.BucketClaims)
	first := put(t, c, claims, "exit1-thrice-1.33", "")
	c.put(remark("e1", first, "BackoffLimitExceeded", 1))
	_, stop := replica(t, c, s, "a", clock)
	passing(t, clock, "the first claim to be said", func() bool { return isSaid(t, claims, first) })
	b, _ := replica(t, c, s, "b", clock)
	passing(t, clock, "the second to stand by", func() bool { return b.Ready(t.Context()) == nil })
	if holder := value(lease(c).HolderIdentity); holder != "a" {
		t.Fatalf("%s leads", holder)
	}
	stop()
	second := put(t, c, claims, "running-1.35", "second")
	c.put(remark("e2", second, "SuccessfulCreate", 1))
	c.remove(second)
	passing(t, clock, "the second claim to be said", func() bool { return isSaid(t, claims, second) })
	if d := cmp.Diff(ofBoth, sorted(said(t, s))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	var told []string
	passing(t, clock, "the Kubernetes Event to be mirrored", func() bool {
		told = nil
		if err := s.Scaling(t.Context(), "default", time.Time{}, func(e contract.Scaling) error {
			told = append(told, e.Reason+" "+e.ID())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return len(told) > 0
	})
	if told[0] != "BackoffLimitExceeded e1/1" {
		t.Errorf("mirrored %v", told)
	}
}
