package kube

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

const patience = 20 * time.Second

func informers(t *testing.T, c *cell) *Informers {
	t.Helper()
	k, err := NewInformers(c.dial(), []string{"jobs"})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// watched runs Watch until the test ends and gives what it notices, as UIDs.
func watched(t *testing.T, k *Informers) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	seen, ended := make(chan string, 1000), make(chan error, 1)
	go func() {
		ended <- k.Watch(ctx, func(namespace, name, uid string) {
			if namespace != "jobs" || !strings.HasPrefix(uid, "uid-"+name) {
				t.Errorf("notice of %s/%s %s", namespace, name, uid)
			}
			seen <- uid
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ended with %v", err)
		}
	})
	return seen
}

// await takes notices until each of these units was noticed, and gives all that came.
func await(t *testing.T, seen <-chan string, uids ...string) (all []string) {
	t.Helper()
	late := time.After(patience)
	for {
		if !slices.ContainsFunc(uids, func(uid string) bool { return !slices.Contains(all, uid) }) {
			return all
		}
		select {
		case uid := <-seen:
			all = append(all, uid)
		case <-late:
			t.Fatalf("waited %s for notices of %v, got %v", patience, uids, all)
		}
	}
}

// ready waits until all is ready.
func ready(t *testing.T, k *Informers) {
	t.Helper()
	var err error
	tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		if err = k.Ready(t.Context()); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not ready after %s: %v", patience, err)
		}
	}
}

// TestOneWatchForEachKind has units come, change and go, and counts what the API server was asked.
func TestOneWatchForEachKind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		streams bool
		want    map[string]int
	}{
		"the list comes by the watch": {true, map[string]int{"watch jobs": 1, "watch pods": 1}},
		"the list comes before it": { // the first watch asks for the list, and is refused
			false, map[string]int{"watch jobs": 2, "list jobs": 1, "watch pods": 2, "list pods": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, tc.streams)
			a, b := job("a", "uid-a"), job("b", "uid-b")
			foreign := job("foreign", "uid-foreign")
			foreign.Labels = nil
			elsewhere := job("elsewhere", "uid-elsewhere")
			elsewhere.Namespace = "elsewhere"
			c.put(a, pod("a-1", a), foreign, elsewhere)
			k := informers(t, c)
			seen := watched(t, k)
			all := await(t, seen, "uid-a")
			for i := range 20 { // units come and change; each has a notice
				next := job("a"+string(rune('a'+i)), "uid-a"+string(rune('a'+i)))
				c.put(next)
				all = append(all, await(t, seen, string(next.UID))...)
				c.put(pod(next.Name+"-1", next))
				all = append(all, await(t, seen, string(next.UID))...)
			}
			c.put(pod("b-1", b)) // of a unit whose Kubernetes Job was not seen
			all = append(all, await(t, seen, "uid-b")...)
			c.remove(a)
			all = append(all, await(t, seen, "uid-a")...)
			if slices.Contains(all, "uid-foreign") || slices.Contains(all, "uid-elsewhere") {
				t.Errorf("notices of what is not ours: %v", all)
			}
			if d := cmp.Diff(tc.want, c.count()); d != "" {
				t.Errorf("what was asked (-want +got):\n%s", d)
			}
		})
	}
}

func TestUnitFromTheCache(t *testing.T) {
	t.Parallel()
	c := newCell(t, true)
	a, b := job("a", "uid-a"), job("b", "uid-b")
	c.put(a, pod("a-1", a), pod("a-2", a), b, pod("b-1", b))
	k := informers(t, c)
	watched(t, k)
	got, pods, err := k.Unit(t.Context(), "jobs", "a", "uid-a", false) // waits for the first list
	if err != nil || got == nil || got.UID != "uid-a" || len(pods) != 2 {
		t.Fatalf("Kubernetes Job %v, %d pods, error %v", got, len(pods), err)
	}
	if got.ManagedFields != nil || pods[0].ManagedFields != nil || pods[0].Spec.NodeName != "node-1" {
		t.Errorf("the cache keeps %+v and %+v", got, pods[0])
	}
	fresh, freshPods, err := k.Unit(t.Context(), "jobs", "a", "uid-a", true)
	if err != nil {
		t.Fatal(err)
	}
	byName := func(x, y *corev1.Pod) int { return strings.Compare(x.Name, y.Name) }
	slices.SortFunc(pods, byName)
	if d := cmp.Diff(fresh, got) + cmp.Diff(freshPods, pods, cmp.Transformer("kind", func(m metav1.TypeMeta) string { return "" })); d != "" {
		t.Errorf("past the cache and from it (-past +from):\n%s", d)
	}
	if got, _, err := k.Unit(t.Context(), "jobs", "a", "uid-z", false); got != nil || err != nil {
		t.Errorf("another UID: %v, error %v", got, err)
	}
	if _, _, err := k.Unit(t.Context(), "elsewhere", "a", "uid-a", true); err == nil {
		t.Error("a namespace that is not ours is answered for")
	}
	if err := k.Watch(t.Context(), nil); err == nil {
		t.Error("a second Watch says nothing")
	}
}

// TestGoesOnWhereTheWatchEnded has the server end the watches, as it does every few minutes: nothing is
// listed again, and nothing is missed.
func TestGoesOnWhereTheWatchEnded(t *testing.T) {
	t.Parallel()
	c := newCell(t, false)
	k := informers(t, c)
	seen := watched(t, k)
	ready(t, k)
	c.put(job("a", "uid-a"))
	await(t, seen, "uid-a")
	c.cut()
	c.put(job("b", "uid-b"))
	await(t, seen, "uid-b")
	until(t, "jobs to be watched again", func() bool { return c.count()["watch jobs"] == 3 }) // of which one was refused
	if asked := c.count(); asked["list jobs"] != 1 {
		t.Errorf("asked %v, want one list and one more watch of jobs", asked)
	}
}

// TestNoticesWhatTheWatchMissed has units vanish, and be made anew under their name, while nobody watches:
// the next list shows the first as a tombstone and the second as one update.
func TestNoticesWhatTheWatchMissed(t *testing.T) {
	t.Parallel()
	for name, streams := range map[string]bool{"the list comes by the watch": true, "the list comes before it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, streams)
			gone, old, stays := job("gone", "uid-gone"), job("again", "uid-again-1"), job("stays", "uid-stays")
			c.put(gone, old, pod("again-1", old), stays)
			k := informers(t, c)
			seen := watched(t, k)
			await(t, seen, "uid-gone", "uid-again-1", "uid-stays")
			c.lapse(func() {
				c.remove(gone)
				c.remove(old)
				c.put(job("again", "uid-again-2"))
			})
			all := await(t, seen, "uid-gone", "uid-again-1", "uid-again-2")
			if slices.Contains(all, "uid-stays") {
				t.Errorf("a unit that did not change was noticed: %v", all)
			}
			for _, fresh := range []bool{false, true} {
				if got, pods, err := k.Unit(t.Context(), "jobs", "again", "uid-again-1", fresh); got != nil || len(pods) != 1 || err != nil {
					t.Errorf("fresh %v: the old one is %v with %d pods, error %v", fresh, got, len(pods), err)
				}
				if got, _, err := k.Unit(t.Context(), "jobs", "again", "uid-again-2", fresh); got == nil || err != nil {
					t.Errorf("fresh %v: the new one is %v, error %v", fresh, got, err)
				}
			}
			ready(t, k)
		})
	}
}

func TestReadyNamesTheMissingRight(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		verb, resource string
		streams        bool
	}{
		{"get", "jobs", true}, {"watch", "jobs", false}, {"watch", "pods", false}, {"list", "jobs", false},
		{"list", "pods", false}, {"list", "pods", true},
	} {
		t.Run(tc.verb+" "+tc.resource, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, tc.streams)
			c.refuse(tc.verb, tc.resource, forbidden(tc.verb, tc.resource))
			k := informers(t, c)
			if err := k.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "not listed yet") {
				t.Errorf("before Watch: %v", err)
			}
			watched(t, k)
			want := "may not " + tc.verb + " " + tc.resource + " in namespace jobs"
			tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
			defer tick.Stop()
			for {
				err := k.Ready(t.Context())
				if err != nil && strings.Contains(err.Error(), want) {
					if strings.Contains(err.Error(), "\n") {
						t.Errorf("more than one line: %v", err)
					}
					break
				}
				select {
				case <-tick.C:
				case <-late:
					t.Fatalf("after %s: %v, want %q", patience, err, want)
				}
			}
			c.refuse(tc.verb, tc.resource, nil)
			ready(t, k)
		})
	}
}

func TestNoticeOf(t *testing.T) {
	t.Parallel()
	a := job("a", "uid-a")
	p := pod("a-1", a)
	want := notice{namespace: "jobs", name: "a", uid: "uid-a"}
	for name, object := range map[string]any{
		"Kubernetes Job":                a,
		"pod":                           p,
		"tombstone of a Kubernetes Job": cache.DeletedFinalStateUnknown{Key: "jobs/a", Obj: a},
		"tombstone of a pod":            cache.DeletedFinalStateUnknown{Key: "jobs/a-1", Obj: p},
	} {
		if got, ok := noticeOf(object); !ok || got != want {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
	for name, object := range map[string]any{
		"nothing":                 nil,
		"tombstone of nothing":    cache.DeletedFinalStateUnknown{Key: "jobs/a"},
		"pod of nobody":           &corev1.Pod{},
		"something else entirely": &batchv1.CronJob{},
	} {
		if got, ok := noticeOf(object); ok {
			t.Errorf("%s is of %v", name, got)
		}
	}
}

func TestNoticesAreJoined(t *testing.T) {
	t.Parallel()
	n, a := newNotices(), job("a", "uid-a")
	n.OnUpdate(a, a) // a list that repeats what is known
	if got := n.take(); len(got) != 0 {
		t.Errorf("notices of what did not change: %v", got)
	}
	for range 100 {
		n.OnAdd(a, true)
		n.OnDelete(pod("a-1", a))
	}
	if got := n.take(); len(got) != 1 || got["uid-a"].name != "a" {
		t.Errorf("notices %v, want one", got)
	}
	if got := n.take(); len(got) != 0 {
		t.Errorf("taken twice: %v", got)
	}
	anew := job("a", "uid-b")
	anew.ResourceVersion = "2"
	n.OnUpdate(a, anew)
	if got := n.take(); len(got) != 2 || got["uid-a"].name != "a" || got["uid-b"].name != "a" {
		t.Errorf("made anew: notices %v, want of both", got)
	}
}

func TestDialSaysWhatToDo(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Dial("", nil); err == nil || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("outside a cluster: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := Dial(missing, nil); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("no such file: %v", err)
	}
}
