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
		u.Pods = nil
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
		e, err := claims.Get(t.Context(), contract.UnitKey(j.Annotations[contract.AnnotationQueue], string(j.UID)))
		if err != nil {
			t.Fatal(err)
		}
		if u, err = contract.DecodeUnit(e.Value); err != nil {
			t.Fatal(err)
		}
		return u.Said
	})
	return u
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
	var ids []string
	for _, id := range said(t, s) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if d := cmp.Diff([]string{
		"1/0/failed", "1/1/attempt-failed", "1/1/claimed", "1/2/attempt-failed", "1/3/attempt-failed", // both units are of one job
	}, ids); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	asked := c.count()
	if asked["watch jobs"] != 1 || asked["watch pods"] != 1 || asked["list jobs"] != 0 {
		t.Errorf("asked %v, want one watch for each kind", asked)
	}
}
