package localkube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// patience is how long a test waits for something that takes milliseconds.
const patience = 30 * time.Second

// world is a Kube over a folder that is a queue and a shell script that is the processor.
type world struct {
	t    *testing.T
	dir  string
	kube *Kube
	o    Options
	stop func()
}

// newWorld makes a world that does not run yet; the queue has what tasks say, each a shell script that is
// the work of one unit.
func newWorld(t *testing.T, change func(*Options), tasks ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), stop: func() {}}
	for _, d := range []string{"queue", "claims", "attempts"} {
		if err := os.Mkdir(filepath.Join(w.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.o, err = w.options(); err != nil {
		t.Fatal(err)
	}
	w.o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if change != nil {
		change(&w.o)
	}
	for _, task := range tasks {
		w.send(task)
	}
	return w
}

// options are those of a Kube in this world's folder.
func (w *world) options() (Options, error) {
	script, err := filepath.Abs("testdata/processor")
	return Options{
		Dir: filepath.Join(w.dir, "kube"), Processor: script, BackoffScale: 0.0001, Poll: 5 * time.Millisecond, Grace: 5 * time.Second,
		Env:    []string{"PATH=" + os.Getenv("PATH"), "FAKE=" + w.dir},
		Queues: []Queue{{Name: "q", Max: 5, Timeout: time.Hour, Depth: w.depth}},
	}, err
}

// run makes the Kube and runs it until the test ends or w.stop is called.
func (w *world) run() *world {
	w.t.Helper()
	kube, err := New(w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- kube.Run(ctx) }()
	w.kube = kube
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				w.t.Error(err)
			}
		case <-time.After(patience):
			w.t.Error("Run did not return")
		}
	}
	w.t.Cleanup(w.stop)
	return w
}

func (w *world) send(task string) {
	w.t.Helper()
	f, err := os.CreateTemp(w.dir, "task")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f, task); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(f.Name(), filepath.Join(w.dir, "queue", filepath.Base(f.Name()))); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) depth(context.Context) (int, int, int, error) {
	files, err := os.ReadDir(filepath.Join(w.dir, "queue"))
	return len(files), 0, 0, err
}

// until looks until ok is true: whenever a unit changes, and every few milliseconds for what is only on disk.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changed := make(chan struct{}, 1)
	go func() {
		_ = w.kube.Watch(ctx, func(string, string, string) {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !ok() {
		select {
		case <-changed:
		case <-tick.C:
		case <-late:
			w.t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}

// finished waits until n units are over and gives them.
func (w *world) finished(n int) []*batchv1.Job {
	w.t.Helper()
	var over []*batchv1.Job
	w.until(fmt.Sprintf("%d units to be over", n), func() bool {
		over = nil
		for _, j := range w.kube.Jobs() {
			if jobOver(j) {
				over = append(over, j)
			}
		}
		return len(over) >= n
	})
	return over
}

// only is the one unit there is.
func (w *world) only() (*batchv1.Job, []*corev1.Pod) {
	w.t.Helper()
	jobs := w.kube.Jobs()
	if len(jobs) != 1 {
		w.t.Fatalf("%d units, want 1", len(jobs))
	}
	return jobs[0], w.pods(jobs[0])
}

func (w *world) pods(j *batchv1.Job) []*corev1.Pod {
	w.t.Helper()
	job, pods, err := w.kube.Unit(context.Background(), j.Namespace, j.Name, string(j.UID), true)
	if err != nil || job == nil {
		w.t.Fatal(job, err)
	}
	return pods
}

// running waits until the only unit's nth pod has begun its work, which says so by a file.
func (w *world) running(n int) (*batchv1.Job, *corev1.Pod) {
	w.t.Helper()
	var job *batchv1.Job
	var pod *corev1.Pod
	w.until(fmt.Sprintf("pod %d to run", n), func() bool {
		if len(w.kube.Jobs()) == 0 {
			return false
		}
		j, pods := w.only()
		if len(pods) < n || pods[n-1].Status.Phase != corev1.PodRunning {
			return false
		}
		job, pod = j, pods[n-1]
		return true
	})
	return job, pod
}

func (w *world) exists(name string) bool {
	_, err := os.Stat(filepath.Join(w.dir, name))
	return err == nil
}

func (w *world) touch(name string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// count is how many files a folder has.
func (w *world) count(dir string) int {
	w.t.Helper()
	files, err := os.ReadDir(filepath.Join(w.dir, dir))
	if err != nil {
		w.t.Fatal(err)
	}
	return len(files)
}

func (w *world) broken(context.Context) (int, int, int, error) {
	return 5, 0, 0, errors.New("away")
}

func contains(err error, s string) bool { return err != nil && strings.Contains(err.Error(), s) }
