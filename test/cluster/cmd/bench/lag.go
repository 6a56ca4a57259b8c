package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

const (
	deletions = 100 * time.Millisecond // from one to the next
	mostLag   = 1.0                    // second
)

// clock notes when each pod's end was first seen somewhere.
type clock struct {
	mu   sync.Mutex
	seen map[string]time.Time // by the pod's UID
}

func (c *clock) note(pod string, at time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.seen[pod]; !known {
		c.seen[pod] = at
	}
	return len(c.seen)
}

// lag measures what the bridge is for: a hundred pods run, each is deleted, and what only Kubernetes knows of its end is
// on the stream and in the stats. A fact is in Kubernetes when the API server tells of a pod that has ended; whoever
// watches is told at the same time as the bridge.
func lag(ctx context.Context, w *world, t *figures.Table) error {
	fmt.Fprintf(os.Stderr, "measuring the bridge at %d pods\n", crowd)
	pods, err := w.gather(ctx)
	if err != nil {
		return err
	}
	before, err := w.stats(ctx)
	if err != nil {
		return err
	}
	info, err := w.tap.Info(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inKubernetes, onStream := &clock{seen: map[string]time.Time{}}, &clock{seen: map[string]time.Time{}}
	var inStats []time.Time
	var calls []time.Duration
	work, failed := sync.WaitGroup{}, make(chan error, 4)
	for _, part := range []func() error{
		func() error { return w.watchEnds(ctx, pods, inKubernetes) },
		func() error { return w.watchStream(ctx, info.Last+1, pods, onStream) },
		func() error { return w.watchStats(ctx, before.Attempts.Failed, &inStats) },
		func() (err error) { calls, err = w.deleteAll(ctx, pods); return err },
	} {
		work.Go(func() {
			if err := part(); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	work.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	report(t, inKubernetes, onStream, inStats, calls)
	return nil
}

// gather fills the queue and waits until every job of it runs; it gives the pods' UIDs by their names.
func (w *world) gather(ctx context.Context) (map[string]string, error) {
	posts := slices.Repeat([]any{map[string]any{"queue": "crowd", "type": "wait", "payload": map[string]any{}}}, crowd)
	if err := w.ask(ctx, http.MethodPost, "/jobs/batch", posts, nil); err != nil {
		return nil, err
	}
	pods := make(map[string]string, crowd)
	err := until(ctx, 15*time.Minute, func(ctx context.Context) error {
		s, err := w.stats(ctx)
		if err != nil {
			return err
		}
		list, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
			LabelSelector: "batch.kubernetes.io/controller-uid", FieldSelector: "status.phase=Running",
		})
		if err != nil {
			return err
		}
		clear(pods)
		for _, p := range list.Items {
			pods[p.Name] = string(p.UID)
		}
		if s.Jobs.Running != crowd || len(pods) != crowd {
			return fmt.Errorf("%d of %d jobs run, in %d pods", s.Jobs.Running, crowd, len(pods))
		}
		return nil
	})
	return pods, err
}

// deleteAll deletes the pods one after the other, as somebody who drains a node does, and gives how long each call took.
func (w *world) deleteAll(ctx context.Context, pods map[string]string) (calls []time.Duration, err error) {
	ticker := time.NewTicker(deletions)
	defer ticker.Stop()
	for name := range pods {
		began := time.Now()
		if err := w.kube.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return nil, err
		}
		calls = append(calls, time.Since(began))
		<-ticker.C
	}
	return calls, nil
}

func (w *world) watchEnds(ctx context.Context, pods map[string]string, c *clock) error {
	list, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	ends, err := w.kube.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return err
	}
	defer ends.Stop()
	for e := range ends.ResultChan() {
		pod, ok := e.Object.(*corev1.Pod)
		if !ok {
			return fmt.Errorf("watching pods: %v", e.Object)
		}
		if pods[pod.Name] != string(pod.UID) || e.Type != watch.Deleted && !hasEnded(pod) {
			continue
		}
		if c.note(string(pod.UID), time.Now()) == len(pods) {
			return nil
		}
	}
	return errors.Join(ctx.Err(), errors.New("watching pods: it has ended"))
}

func hasEnded(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == "run" && s.State.Terminated != nil
	})
}

var errAllSeen = errors.New("all were seen")

func (w *world) watchStream(ctx context.Context, from uint64, pods map[string]string, c *clock) error {
	ours := make(map[string]bool, len(pods))
	for _, uid := range pods {
		ours[uid] = true
	}
	err := w.tap.Follow(ctx, from, func(s stream.Stored) error {
		if s.Fault != nil || s.Event.Kind != contract.AttemptFailed || s.Event.Source != contract.SourceBridge || !ours[s.Event.Pod] {
			return nil
		}
		if c.note(s.Event.Pod, s.At) == len(pods) {
			return errAllSeen
		}
		return nil
	})
	if errors.Is(err, errAllSeen) {
		return nil
	}
	return err
}

// watchStats notes when the stats first told of the first, the second, ... the hundredth end.
func (w *world) watchStats(ctx context.Context, before int, at *[]time.Time) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for len(*at) < crowd {
		s, err := w.stats(ctx)
		if err != nil {
			return err
		}
		for range s.Attempts.Failed - before - len(*at) {
			*at = append(*at, time.Now())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// report pairs what was seen: on the stream pod by pod, in the stats the n-th with the n-th. The reference is a bare call
// to the API server, of the same minute.
func report(t *figures.Table, inKubernetes, onStream *clock, inStats []time.Time, calls []time.Duration) {
	var facts []time.Time
	var toStream, toStats []time.Duration
	for pod, at := range inKubernetes.seen {
		facts = append(facts, at)
		toStream = append(toStream, onStream.seen[pod].Sub(at))
	}
	slices.SortFunc(facts, time.Time.Compare)
	for i, at := range facts {
		toStats = append(toStats, inStats[i].Sub(at))
	}
	call50, call99 := figures.Percentile(calls, 50), figures.Percentile(calls, 99)
	t.Add("bridge: fact in Kubernetes to stream, p50, beside a call", figures.Percentile(toStream, 50), "s", call50, figures.None())
	t.Add("bridge: fact in Kubernetes to stream, p99, beside a call", figures.Percentile(toStream, 99), "s", call99, figures.AtMost(mostLag))
	t.Add("bridge: fact in Kubernetes to stats, p50, beside a call", figures.Percentile(toStats, 50), "s", call50, figures.None())
	t.Add("bridge: fact in Kubernetes to stats, p99, beside a call", figures.Percentile(toStats, 99), "s", call99, figures.AtMost(mostLag))
}
