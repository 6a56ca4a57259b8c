package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tallyman/contract"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// remark is a Kubernetes Event of an object, as the older API makes them: with a count and whole seconds.
func remark(uid string, of kubeObject, reason string, count int32) *corev1.Event {
	o := corev1.ObjectReference{Namespace: of.GetNamespace(), Name: of.GetName(), UID: of.GetUID()}
	o.APIVersion, o.Kind = kinds[resourceOf(of)].gvk.ToAPIVersionAndKind()
	if resourceOf(of) == "scaledjobs" {
		o.APIVersion, o.Kind = "keda.sh/v1alpha1", "ScaledJob"
	}
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "jobs", Name: of.GetName() + "." + uid, UID: types.UID(uid)},
		InvolvedObject: o, Type: "Warning", Reason: reason, Message: "because", Count: count,
		FirstTimestamp: metav1.NewTime(noon), LastTimestamp: metav1.NewTime(noon.Add(time.Duration(count) * time.Second)),
		Source: corev1.EventSource{Component: "kubelet"},
	}
}

func scaled(name, uid, queue string) *scaledJob {
	s := &scaledJob{Object: make(map[string]any)}
	s.SetNamespace("jobs")
	s.SetName(name)
	s.SetUID(types.UID(uid))
	if queue != "" {
		s.SetAnnotations(map[string]string{contract.AnnotationQueue: queue})
	}
	return s
}

// told runs Watch and WatchEvents until the test ends and gives what is told.
func told(t *testing.T, k *Informers) <-chan contract.Scaling {
	t.Helper()
	watched(t, k)
	ctx, cancel := context.WithCancel(context.Background())
	all, ended := make(chan contract.Scaling, 1000), make(chan error, 1)
	go func() { ended <- k.WatchEvents(ctx, func(s contract.Scaling) { all <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("WatchEvents ended with %v", err)
		}
	})
	return all
}

// nextOf takes n of what is told, as "queue kind reason uid/count unit".
func nextOf(t *testing.T, all <-chan contract.Scaling, n int) map[string]bool {
	t.Helper()
	got := make(map[string]bool)
	late := time.After(patience)
	for len(got) < n {
		select {
		case s := <-all:
			got[fmt.Sprintf("%s %s %s %s %s", s.Queue, s.Kind, s.Reason, s.ID(), s.Unit)] = true
		case <-late:
			t.Fatalf("after %s: %v, want %d", patience, got, n)
		}
	}
	return got
}

func TestTellsTheKubernetesEventsOfAQueue(t *testing.T) {
	t.Parallel()
	for name, streams := range map[string]bool{"the list comes by the watch": true, "the list comes before it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, streams)
			a := job("a", "uid-a")
			p := pod("a-1", a)
			queue, nobodys := scaled("processor-default", "uid-sj", "default"), scaled("other", "uid-other", "")
			foreign := pod("foreign", a)
			foreign.Labels = nil
			earlier := pod("a-1", a) // one that had the pod's name before it
			earlier.UID = "uid-of-earlier"
			c.put(a, p, queue, nobodys)
			c.put(remark("e1", a, "SuccessfulCreate", 1), remark("e2", p, "FailedScheduling", 2), remark("e3", queue, "KEDAScalerFailed", 1),
				remark("e4", foreign, "Pulled", 1), remark("e5", nobodys, "ScaledJobReady", 1), remark("e6", earlier, "Killing", 1))
			all := told(t, informers(t, c))
			want := map[string]bool{
				"default Job SuccessfulCreate e1/1 uid-a": true, "default Pod FailedScheduling e2/2 uid-a": true,
				"default ScaledJob KEDAScalerFailed e3/1 ": true,
			}
			if d := cmp.Diff(want, nextOf(t, all, 3)); d != "" {
				t.Errorf("of what there is (-want +got):\n%s", d)
			}
			c.put(remark("e2", p, "FailedScheduling", 3)) // it is said again
			if d := cmp.Diff(map[string]bool{"default Pod FailedScheduling e2/3 uid-a": true}, nextOf(t, all, 1)); d != "" {
				t.Errorf("a repeat (-want +got):\n%s", d)
			}
			b := job("b", "uid-b") // whose Kubernetes Event is seen before it is itself
			c.put(remark("e7", b, "SuccessfulCreate", 1))
			c.put(b)
			if d := cmp.Diff(map[string]bool{"default Job SuccessfulCreate e7/1 uid-b": true}, nextOf(t, all, 1)); d != "" {
				t.Errorf("out of step (-want +got):\n%s", d)
			}
			select {
			case s := <-all:
				t.Errorf("told of %+v", s)
			default:
			}
			asked := c.count()
			for _, resource := range []string{"jobs", "pods", "events", "scaledjobs"} {
				if got := asked["watch "+resource] + asked["list "+resource]; streams && got != 1 || !streams && got != 3 {
					t.Errorf("%s were asked for %d times: %v", resource, got, asked)
				}
			}
		})
	}
}

func TestReadsBothWaysOfCounting(t *testing.T) {
	t.Parallel()
	c := newCell(t, true)
	a := job("a", "uid-a")
	old, young := remark("e1", a, "Old", 7), remark("e2", a, "Young", 0)
	old.Type = "Normal"
	young.FirstTimestamp, young.LastTimestamp, young.Source = metav1.Time{}, metav1.Time{}, corev1.EventSource{}
	young.EventTime, young.ReportingController = metav1.NewMicroTime(noon.Add(1500*time.Millisecond)), "default-scheduler"
	young.Series = &corev1.EventSeries{Count: 4, LastObservedTime: metav1.NewMicroTime(noon.Add(2500 * time.Millisecond))}
	c.put(a, old, young)
	all := told(t, informers(t, c))
	got := make(map[string]contract.Scaling)
	for range 2 {
		select {
		case s := <-all:
			got[s.Reason] = s
		case <-time.After(patience):
			t.Fatalf("after %s: %v", patience, got)
		}
	}
	base := contract.Scaling{
		Queue: "default", Message: "because", Namespace: "jobs", Kind: "Job", Name: "a", ObjectUID: "uid-a", Unit: "uid-a",
		ScaledJob: "processor-default",
	}
	first, second := base, base
	first.UID, first.Reason, first.Severity, first.Count, first.Component = "e1", "Old", contract.Normal, 7, "kubelet"
	first.First, first.Last = contract.At(noon), contract.At(noon.Add(7*time.Second))
	second.UID, second.Reason, second.Severity, second.Count, second.Component = "e2", "Young", contract.Warning, 4, "default-scheduler"
	second.First, second.Last = contract.At(noon.Add(1500*time.Millisecond)), contract.At(noon.Add(2500*time.Millisecond))
	if d := cmp.Diff(map[string]contract.Scaling{"Old": first, "Young": second}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for reason, s := range got {
		s.Cluster = "prod-eu"
		if _, err := s.Encode(); err != nil {
			t.Errorf("%s cannot be written: %v", reason, err)
		}
	}
}

// TestUnitsAreSeenWithoutKEDAOrEvents has the rights for Events and KEDA's kind missing: both are named, and
// units are seen all the same.
func TestUnitsAreSeenWithoutKEDAOrEvents(t *testing.T) {
	t.Parallel()
	c := newCell(t, false)
	a := job("a", "uid-a")
	c.put(a, remark("e1", a, "SuccessfulCreate", 1), scaled("processor-default", "uid-sj", "default"))
	c.refuse("list", "events", forbidden("list", "events"))
	c.refuse("list", "scaledjobs", missing)
	c.refuse("watch", "scaledjobs", missing)
	k := informers(t, c)
	all := told(t, k)
	if got, _, err := k.Unit(t.Context(), "jobs", "a", "uid-a", false); got == nil || err != nil {
		t.Errorf("the unit is %v, error %v", got, err)
	}
	for _, m := range k.mirrors {
		for _, s := range []*source{m.sources[2], m.sources[3]} {
			until(t, "the fault of "+s.resource, func() bool { return s.ready() != nil })
			want := map[string]string{
				"events": "may not list events in namespace jobs; the bridge needs list and watch on events", "scaledjobs": "is KEDA installed?",
			}[s.resource]
			if err := s.ready(); !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v; want one line that names %q", err, want)
			}
		}
	}
	if err := k.Ready(t.Context()); err == nil {
		t.Error("ready all the same")
	}
	c.refuse("list", "scaledjobs", nil)
	c.refuse("watch", "scaledjobs", nil)
	until(t, "KEDA to be there", func() bool { return k.mirrors[0].sources[3].ready() == nil })
	if err := k.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "events in namespace jobs") {
		t.Errorf("ready says %v", err)
	}
	c.refuse("list", "events", nil)
	ready(t, k)
	nextOf(t, all, 1)
}
