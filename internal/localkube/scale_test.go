package localkube

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
)

func TestWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ visible, running, pending, most, want int64 }{
		{0, 0, 0, 20, 0},
		{1, 0, 0, 20, 1},
		{3, 3, 3, 20, 0}, // those that wait will take them
		{3, 3, 0, 20, 3}, // those that run will not
		{30, 0, 0, 20, 20},
		{30, 20, 0, 20, 0},
		{5, 18, 1, 20, 2}, // what the limit leaves
		{1, 20, 20, 20, 0},
		{2, 5, 4, 20, 0},
	} {
		if got := wanted(c.visible, c.running, c.pending, c.most); got != c.want {
			t.Errorf("visible %d, running %d, pending %d, max %d: %d units, want %d", c.visible, c.running, c.pending, c.most, got, c.want)
		}
	}
}

func TestBurst(t *testing.T) {
	t.Parallel()
	var tasks []string
	for range 20 {
		tasks = append(tasks, "exit 0")
	}
	w := newWorld(t, func(o *Options) { o.Queues[0].Max = 7 }, tasks...).run()
	w.finished(20)
	w.until("nothing to be left", func() bool {
		left, _, _, err := w.depth(t.Context())
		return err == nil && left == 0
	})
	worked := 0
	for _, j := range w.kube.Jobs() {
		_, pods, err := w.kube.Unit(t.Context(), j.Namespace, j.Name, string(j.UID), true)
		if err != nil || len(pods) != 1 {
			t.Errorf("unit %s has %d pods, %v", j.Name, len(pods), err)
		}
		worked++
	}
	if worked != 20 {
		t.Errorf("%d units for 20 messages: a pod found no message", worked)
	}
}

func TestNeverMoreThanMax(t *testing.T) {
	t.Parallel()
	hold := `until [ -e "$FAKE/go" ]; do sleep 0.01; done`
	w := newWorld(t, func(o *Options) { o.Queues[0].Max = 3 }, hold, hold, hold, hold, hold).run()
	active := func() (n int) {
		for _, j := range w.kube.Jobs() {
			if !jobOver(j) {
				n++
			}
		}
		return n
	}
	w.until("3 units to run", func() bool { return active() == 3 })
	for range 10 { // polls, each of which could make one too many
		w.kube.scale(t.Context(), &w.kube.o.Queues[0], false)
	}
	if n := active(); n != 3 {
		t.Errorf("%d units run, 3 may", n)
	}
	w.touch("go")
	w.finished(5)
}

func TestHistoryAndTTL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.History = 2 }, "exit 0", "exit 0", "exit 0", "exit 65")
	w.run()
	w.until("the oldest successes to be dropped", func() bool {
		var complete, failed int
		for _, j := range w.kube.Jobs() {
			switch {
			case jobCondition(j, batchv1.JobComplete):
				complete++
			case jobCondition(j, batchv1.JobFailed):
				failed++
			}
		}
		left, _, _, err := w.depth(t.Context())
		return err == nil && left == 0 && complete == 2 && failed == 1
	})
	w.stop()
	w.o.TTL = time.Nanosecond
	w.run()
	w.until("all to be dropped", func() bool { return len(w.kube.Jobs()) == 0 })
	w.until("their files to be gone", func() bool { return w.count("kube/units") == 0 && w.count("kube/pods") == 0 })
}

func TestQueueThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "exit 0")
	away := true
	w.o.Queues[0].Depth = nil
	if _, err := New(w.o); err == nil {
		t.Error("a queue without a depth was taken")
	}
	w.o.Queues[0].Depth = w.depth
	kube, err := New(w.o)
	if err != nil {
		t.Fatal(err)
	}
	q := &Queue{Name: "q", Max: 1, Timeout: time.Hour, Depth: w.broken}
	if away = kube.scale(t.Context(), q, away); !away || len(kube.Jobs()) != 0 {
		t.Errorf("away %v with %d units, want true and none", away, len(kube.Jobs()))
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := New(Options{BackoffScale: -1, Poll: 1, Env: []string{"no-equals-sign"}, Queues: []Queue{{Name: "a.b"}, {Name: "a.b"}}})
	for _, want := range []string{"Dir:", "Processor:", "Poll:", "BackoffScale:", "Env[0]:", "Queues[0].Name:", "Queues[1].Name: \"a.b\" stands twice", "Queues[0].Max:", "Queues[0].Timeout:", "Queues[0].Depth:"} {
		if err == nil || !contains(err, want) {
			t.Errorf("%s is bad and not named in: %v", want, err)
		}
	}
	if contains(err, "no-equals-sign") {
		t.Error("an error shows a variable, which may be a secret")
	}
}
