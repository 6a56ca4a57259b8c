package localkube

import (
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// once works for ever in its first attempt, and not at all in its second.
const once = `[ $attempt = 2 ] && exit 0; touch "$FAKE/began"; exec sleep 1000`

func TestTakingAPodAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		act        func(k *Kube, unit, pod string) error
		disruption string
		failed     int32
	}{
		"deleted": {(*Kube).DeletePod, "", 1},
		"evicted": {(*Kube).Evict, "EvictionByEvictionAPI", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, once).run()
			w.until("the work to begin", func() bool { return w.exists("began") })
			j, p := w.running(1)
			if err := c.act(w.kube, string(j.UID), string(p.UID)); err != nil {
				t.Fatal(err)
			}
			j = w.finished(1)[0]
			_, pods := w.only()
			if !jobCondition(j, batchv1.JobComplete) || j.Status.Failed != c.failed || len(pods) != 2 {
				t.Errorf("%d pods, status %+v", len(pods), j.Status)
			}
			first := pods[0]
			if first.DeletionTimestamp == nil || first.Status.Phase != corev1.PodFailed {
				t.Errorf("the pod is %s, deletion %v", first.Status.Phase, first.DeletionTimestamp)
			}
			if code := containerStatus(first, contract.ContainerRun).State.Terminated.ExitCode; code != 143 {
				t.Errorf("exit %d, want 143", code)
			}
			if got := disruption(first); got != c.disruption {
				t.Errorf("disruption %q, want %q", got, c.disruption)
			}
			if err := c.act(w.kube, string(j.UID), string(p.UID)); !errors.Is(err, ErrNotFound) {
				t.Errorf("a pod that has ended: %v, want ErrNotFound", err)
			}
		})
	}
}

func disruption(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget {
			return c.Reason
		}
	}
	return ""
}

func TestPodThatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	stubborn := `[ $attempt = 2 ] && exit 0; trap '' TERM; touch "$FAKE/began"; while :; do sleep 0.05; done`
	w := newWorld(t, func(o *Options) { o.Grace = 200 * time.Millisecond }, stubborn).run()
	w.until("the work to begin", func() bool { return w.exists("began") })
	j, p := w.running(1)
	if err := w.kube.Evict(string(j.UID), string(p.UID)); err != nil {
		t.Fatal(err)
	}
	w.finished(1)
	_, pods := w.only()
	if code := containerStatus(pods[0], contract.ContainerRun).State.Terminated.ExitCode; code != 137 {
		t.Errorf("exit %d, want 137", code)
	}
}

func TestDeleteJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, once).run()
	w.until("the work to begin", func() bool { return w.exists("began") })
	j, _ := w.running(1)
	if err := w.kube.DeleteJob(string(j.UID)); err != nil {
		t.Fatal(err)
	}
	w.until("the unit to be gone", func() bool { return len(w.kube.Jobs()) == 0 })
	w.until("its files to be gone", func() bool { return w.count("kube/units") == 0 && w.count("kube/pods") == 0 })
	if job, pods, err := w.kube.Unit(t.Context(), j.Namespace, j.Name, string(j.UID), true); job != nil || pods != nil || err != nil {
		t.Errorf("the unit is still to be seen: %v %v %v", job, pods, err)
	}
	if err := w.kube.DeleteJob(string(j.UID)); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted twice: %v, want ErrNotFound", err)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClockAt(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	w := newWorld(t, func(o *Options) { o.Clock, o.Queues[0].Timeout = clock, time.Minute }, once).run()
	w.kube.Wake()
	w.until("the work to begin", func() bool { return w.exists("began") })
	w.running(1)
	clock.Advance(time.Hour + 3*time.Minute + time.Second)
	j := w.finished(1)[0]
	_, pods := w.only()
	var reasons []string
	for _, c := range j.Status.Conditions {
		reasons = append(reasons, string(c.Type)+" "+c.Reason)
	}
	if len(reasons) != 2 || reasons[0] != "FailureTarget DeadlineExceeded" || reasons[1] != "Failed DeadlineExceeded" {
		t.Errorf("conditions %v", reasons)
	}
	if len(pods) != 1 || pods[0].DeletionTimestamp == nil || disruption(pods[0]) != "" {
		t.Errorf("pods %+v", pods)
	}
}
