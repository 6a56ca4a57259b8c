package kube

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/bridge"
)

// TestComesGoodByItself has the API server go away, or know the bridge no more, while all is watched: that is
// said in one line, named once however often it is tried, and over when it is mended.
func TestComesGoodByItself(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter)
		says   string
		lines  int
	}{
		"away":    {hangsUp, "the API server does not answer: it, or what stands before it, hung up", 1},
		"unknown": {unauthorized, "the API server does not know who asks: mend the service account or the kubeconfig", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, true)
			c.put(job("a", "uid-a"))
			k := informers(t, c)
			told(t, k)
			ready(t, k)
			until(t, "every kind to be watched", func() bool { return c.count()["watch events"] > 0 && c.count()["watch scaledjobs"] > 0 })
			c.refuseAll(tc.answer)
			c.cut()
			asked := c.count()
			until(t, "each to be tried three times", func() bool {
				now := c.count()
				for _, resource := range []string{"jobs", "pods", "events", "scaledjobs"} {
					if now["watch "+resource]+now["list "+resource] < asked["watch "+resource]+asked["list "+resource]+3 {
						return false
					}
				}
				return true
			})
			until(t, "each to be named", func() bool { return c.log.with("level=ERROR") >= tc.lines }) // the client tries ten times by itself
			err := k.Ready(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("ready says %v, want one line that names %q", err, tc.says)
			}
			if n := c.log.with("level=ERROR"); n != tc.lines {
				t.Errorf("it was named in %d lines", n)
			}
			if _, _, err := k.Unit(t.Context(), "jobs", "a", "uid-a", false); err != nil {
				t.Errorf("what was seen before is seen no more: %v", err)
			}
			c.refuseAll(nil)
			ready(t, k)
			c.put(job("b", "uid-b"))
			until(t, "a new unit to be seen", func() bool {
				j, _, err := k.Unit(t.Context(), "jobs", "b", "uid-b", false)
				return err == nil && j != nil
			})
		})
	}
}

func TestClusterUID(t *testing.T) {
	t.Parallel()
	c := newCell(t, true)
	s := c.dial()
	if _, err := s.ClusterUID(t.Context()); !errors.Is(err, bridge.ErrAway) {
		t.Errorf("without kube-system: %v", err)
	}
	c.put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "uid-of-prod"}})
	if uid, err := s.ClusterUID(t.Context()); uid != "uid-of-prod" || err != nil {
		t.Errorf("%q, error %v", uid, err)
	}
	c.refuse("get", "namespaces", forbidden("get", "namespaces"))
	_, err := s.ClusterUID(t.Context())
	if !errors.Is(err, bridge.ErrAway) || !strings.Contains(err.Error(), "may not get namespaces of the cluster; the bridge needs get on the namespace kube-system") {
		t.Errorf("without the right: %v", err)
	}
}

// client-go sleeps between its tries and does not wake up for an end.
func TestEndsAtOnceWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	s, err := Dial((&cell{t: t, url: "http://127.0.0.1:1"}).kubeconfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewInformers(s, []string{"jobs"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- k.Watch(ctx, nil) }()
	go func() { ended <- k.WatchEvents(ctx, nil) }()
	until(t, "the fault to be seen", func() bool {
		err := k.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "the API server does not answer: dial tcp")
	})
	cancel()
	for range 2 {
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
		case <-time.After(5 * endPatience):
			t.Fatal("it does not end")
		}
	}
}
