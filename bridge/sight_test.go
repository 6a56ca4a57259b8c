package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tallyman/contract"
)

var dawn = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func before(d time.Duration) metav1.Time { return metav1.NewTime(dawn.Add(-d)) }

// unitWith is a Kubernetes Job a minute old, with pods.
func unitWith(pods ...*corev1.Pod) Unit {
	return Unit{Pods: pods, Job: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "jobs", Name: "media-1", UID: "u", CreationTimestamp: before(time.Minute),
		Annotations: map[string]string{contract.AnnotationQueue: "media"},
	}}}
}

// podThat is a pod 50 s old on a node, with its claim done and its work begun, and then changed.
func podThat(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "media-1-x", CreationTimestamp: before(50 * time.Second)}}
	p.Spec.NodeName = "node-1"
	p.Status = corev1.PodStatus{
		Phase:                 corev1.PodRunning,
		Conditions:            []corev1.PodCondition{{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}},
		InitContainerStatuses: []corev1.ContainerStatus{{Name: contract.ContainerClaim, State: exited(0, 40*time.Second)}},
		ContainerStatuses:     []corev1.ContainerStatus{{Name: contract.ContainerRun, State: runs(40 * time.Second)}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func exited(code int32, ago time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: before(ago)}}
}

func runs(ago time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: before(ago)}}
}

func waitsOn(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// unclaimed puts the claim into a state, with nothing after it.
func unclaimed(s corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Conditions = corev1.PodPending, nil
		p.Status.InitContainerStatuses[0].State = s
		p.Status.ContainerStatuses[0].State = waitsOn("PodInitializing", "")
	}
}

func failedPod(ago time.Duration) *corev1.Pod {
	return podThat(func(p *corev1.Pod) {
		p.Status.Phase, p.Status.ContainerStatuses[0].State = corev1.PodFailed, exited(1, ago)
	})
}

func TestSeeWhatAUnitWaitsFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unit  Unit
		waits contract.Wait // "": for nothing
		said  string        // "reason message"
		since time.Duration
		due   time.Duration
	}{
		"no pod":  {unitWith(), contract.WaitPod, " ", time.Minute, 0},
		"at work": {unitWith(podThat(nil)), "", "", 0, 0},
		"suspended": {func() Unit {
			u := unitWith()
			u.Job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue, Reason: "JobSuspended", LastTransitionTime: before(9 * time.Second)}}
			return u
		}(), contract.WaitSuspended, "JobSuspended ", 9 * time.Second, 0},
		"unschedulable": {unitWith(podThat(func(p *corev1.Pod) {
			unclaimed(corev1.ContainerState{})(p)
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes", LastTransitionTime: before(8 * time.Second)}}
		})), contract.WaitNode, "Unschedulable 0/1 nodes", 8 * time.Second, 0},
		"no image":   {unitWith(podThat(unclaimed(waitsOn("ImagePullBackOff", "not found")))), contract.WaitImage, "ImagePullBackOff not found", 50 * time.Second, 0},
		"first pull": {unitWith(podThat(unclaimed(waitsOn("ErrImagePull", "401")))), contract.WaitImage, "ErrImagePull 401", 50 * time.Second, 0},
		"no Secret":  {unitWith(podThat(unclaimed(waitsOn("CreateContainerConfigError", `secret "s" not found`)))), contract.WaitConfig, `CreateContainerConfigError secret "s" not found`, 50 * time.Second, 0},
		"no start":   {unitWith(podThat(unclaimed(waitsOn("RunContainerError", "exec")))), contract.WaitStart, "RunContainerError exec", 50 * time.Second, 0},
		"is made":    {unitWith(podThat(unclaimed(waitsOn("PodInitializing", "")))), contract.WaitCreating, "PodInitializing ", 50 * time.Second, 0},
		"claims":     {unitWith(podThat(unclaimed(runs(7 * time.Second)))), contract.WaitClaim, " ", 7 * time.Second, 0},
		"installs": {unitWith(podThat(func(p *corev1.Pod) {
			unclaimed(waitsOn("PodInitializing", ""))(p)
			p.Status.InitContainerStatuses = append([]corev1.ContainerStatus{{Name: "install", State: runs(6 * time.Second)}}, p.Status.InitContainerStatuses...)
		})), contract.WaitInit, " ", 6 * time.Second, 0},
		"first back-off":  {unitWith(failedPod(4 * time.Second)), contract.WaitBackoff, " ", 4 * time.Second, 6 * time.Second},
		"second back-off": {unitWith(failedPod(40*time.Second), failedPod(4*time.Second)), contract.WaitBackoff, " ", 4 * time.Second, 16 * time.Second},
		"second pod":      {unitWith(failedPod(40*time.Second), podThat(nil)), "", "", 0, 0},
		"node away": {unitWith(podThat(func(p *corev1.Pod) {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: before(5 * time.Second)})
		})), contract.WaitSilent, " ", 5 * time.Second, 0},
		"is going":   {unitWith(podThat(func(p *corev1.Pod) { at := before(-10 * time.Second); p.DeletionTimestamp = &at })), contract.WaitEnd, " ", 0, 0},
		"never goes": {unitWith(podThat(func(p *corev1.Pod) { at := before(10 * time.Second); p.DeletionTimestamp = &at })), contract.WaitSilent, " ", 10 * time.Second, 0},
		"is done":    {unitWith(podThat(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })), "", "", 0, 0},
		"is finished": {func() Unit {
			u := unitWith(podThat(nil))
			u.Job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
			return u
		}(), "", "", 0, 0},
	} {
		s := See(dawn, "prod", "media", nil, []Unit{c.unit}, 1)
		if c.waits == "" {
			if len(s.Waiting) != 0 {
				t.Errorf("%s: %+v", name, s.Waiting)
			}
			continue
		}
		if len(s.Waiting) != 1 || s.Units != 1 {
			t.Errorf("%s: %+v", name, s)
			continue
		}
		w := s.Waiting[0]
		if w.For != c.waits || w.Reason+" "+w.Message != c.said || !w.Since.Equal(dawn.Add(-c.since)) {
			t.Errorf("%s: %+v", name, w)
		}
		if c.due == 0 != w.Due.IsZero() || c.due != 0 && !w.Due.Equal(dawn.Add(c.due)) {
			t.Errorf("%s: due at %s, want in %s", name, w.Due, c.due)
		}
	}
}

// A queue in trouble has many units that wait: the record of it stays small, and those with a job come first.
func TestASightIsBounded(t *testing.T) {
	t.Parallel()
	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = 'x'
	}
	var units []Unit
	for i := range 500 {
		u := unitWith(podThat(unclaimed(waitsOn("ImagePullBackOff", string(long)))))
		u.Job.UID = types.UID(fmt.Sprint(i))
		units = append(units, u)
	}
	claimed := unitWith(failedPod(time.Second))
	units = append(units, claimed)
	scaled := &contract.ScaledJob{Queue: "media", Conditions: slices.Repeat([]contract.Condition{{Type: "Ready", Message: string(long)}}, 20)}
	s := See(dawn, "prod", "media", scaled, units, 1)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 64<<10 || s.Units != 501 || s.Claimed != 1 || s.More != 501-contract.MaxSightWaiting || s.Waiting[0].Unit != "u" {
		t.Errorf("%d bytes, %d units, %d claimed, %d more, first %s", len(b), s.Units, s.Claimed, s.More, s.Waiting[0].Unit)
	}
	slices.Reverse(units)
	if d := cmp.Diff(s, See(dawn, "prod", "media", scaled, units, 1)); d != "" {
		t.Errorf("the order of the units matters: %s", d)
	}
}

// shelf is Sights, and KEDA's part.
type shelf struct {
	scaled  []contract.ScaledJob
	written chan contract.Sight
}

func (s *shelf) ScaledJobs() []contract.ScaledJob { return s.scaled }

func (s *shelf) Put(_ context.Context, key string, value []byte) (uint64, error) {
	var v contract.Sight
	if err := json.Unmarshal(value, &v); err != nil {
		return 0, err
	}
	if key != contract.SightKey(v.Queue) {
		return 0, fmt.Errorf("%s is written to %s", v.Queue, key)
	}
	s.written <- v
	return 1, nil
}

// What has not changed is written every 15 s, so that its age tells whether anybody looks; what has, at once;
// a queue that is gone, as such.
func TestLooksOftenEnough(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClockAt(dawn)
	s := &shelf{scaled: []contract.ScaledJob{{Queue: "media", Max: 5}}, written: make(chan contract.Sight, 100)}
	o := Options{Cluster: "prod", Clock: clock, Scalers: s, Sights: s, BackoffScale: 1}
	b := &Bridge{o: o}
	l := &lookout{
		o: &o, units: func() []string { return nil }, place: func(string) (place, bool) { return place{}, false },
		sure: func(context.Context) error { return nil }, stirs: &b.stirs, last: make(map[string]contract.Sight),
	}
	wrote := func(what string, want int) (last contract.Sight) {
		t.Helper()
		if err := l.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(s.written) != want {
			t.Fatalf("%s: %d were written, want %d", what, len(s.written), want)
		}
		for range want {
			last = <-s.written
		}
		return last
	}
	wrote("at first", 1)
	for range contract.SightEverySeconds - 1 {
		clock.Advance(time.Second)
		s.scaled[0].LastActive = contract.At(clock.Now())
		wrote("nothing new", 0)
	}
	clock.Advance(time.Second)
	if v := wrote("after 15 s", 1); !v.ScaledJob.LastActive.Equal(dawn.Add(14 * time.Second)) {
		t.Errorf("%+v", v.ScaledJob)
	}
	clock.Advance(time.Second)
	s.scaled[0].Paused = true
	if v := wrote("paused", 1); !v.ScaledJob.Paused {
		t.Errorf("%+v", v.ScaledJob)
	}
	clock.Advance(time.Second)
	b.stirs.Store(true)
	wrote("a unit stirred, and is as it was", 0)
	s.scaled = nil
	if v := wrote("gone", 1); v.ScaledJob != nil {
		t.Errorf("%+v", v.ScaledJob)
	}
}
