package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tallyman/contract"
	"tallyman/test/cluster"
)

const long = 4 * time.Minute

func TestAPostedJobRunsAndHelmTestsTheInstall(t *testing.T) {
	w := install(t)
	w.becomes(w.submit(quick()), "succeeded", long)
	w.settles(patience, map[string]int{"succeeded": 1})
	w.helmTest()
	s := w.settles(patience, map[string]int{"succeeded": 2})
	if s.SucceedJob != 2 || s.FailedJob != 0 || s.JobRetry != 0 || s.Units["noop"] != 0 {
		t.Errorf("the books say %+v", s)
	}
	w.Helm("uninstall", "tallyman", "--namespace", w.namespace, "--wait")
	w.Eventually(patience, "no ScaledJob is held by a finalizer", func(ctx context.Context) error {
		out, err := w.Run("kubectl", "get", "scaledjobs", "--namespace", w.namespace, "--output", "name")
		if err == nil && out != "" {
			err = fmt.Errorf("there is still %s", out)
		}
		return err
	})
}

// helmTest runs the chart's own test, which shows what its pod has printed: the life of a job.
func (w *tallyman) helmTest() {
	w.t.Helper()
	out, err := w.Run("/bin/sh", "-c", `exec "${HELM:-helm}" test tallyman --namespace "$0" --timeout 4m 2>&1`, w.namespace)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(out, "succeeded") {
		w.t.Errorf("it does not show the end of its job: %s", out)
	}
}

// A burst meets an exact counter: each message has a Kubernetes Job of its own, and none finds nothing.
func TestABurstOfTwentyMakesTwentyKubernetesJobs(t *testing.T) {
	w := install(t)
	w.submitAll(20, quick())
	s := w.settles(long, map[string]int{"succeeded": 20})
	if units := w.allDone(patience); len(units) != 20 {
		t.Errorf("%d Kubernetes Jobs, want 20", len(units))
	}
	if s.Units["noop"] != 0 || s.Units["duplicate"] != 0 || s.Units["claimFailed"] != 0 {
		t.Errorf("the units say %v", s.Units)
	}
	w.explains("default", contract.KindScaledJob, contract.Normal, "Created", "KEDAJobsCreated")
}

// As many units as `max` are unfinished, never more, and all jobs end.
func TestNoMoreThanMaxAtATime(t *testing.T) {
	t.Parallel()
	const jobs = 100
	w := install(t, `queues=[{"name":"default","max":5,"types":[{"name":"process-data"}]}]`)
	w.submitAll(jobs, quick())
	most := 0
	w.Eventually(2*long, "all have ended, and never more than 5 were under way", func(ctx context.Context) error {
		units, err := w.units(ctx)
		if err != nil {
			return err
		}
		unfinished := 0
		for i := range units {
			if !finished(&units[i]) {
				unfinished++
			}
		}
		if unfinished > 5 {
			return fmt.Errorf("%w: %d Kubernetes Jobs are unfinished", cluster.ErrNever, unfinished)
		}
		most = max(most, unfinished)
		return w.inState(ctx, "succeeded", jobs)
	})
	if most != 5 {
		t.Errorf("of %d jobs at most %d were under way, and 5 may be", jobs, most)
	}
}

// A job that always fails has three pods, each with the same task, and the books count as the seed did.
func TestAFailingJobHasThreeAttempts(t *testing.T) {
	t.Parallel()
	w := install(t)
	id := w.submit(failing())
	j := w.becomes(id, "failed", long)
	if tries := j.Attempts; len(tries) != 3 {
		t.Errorf("its attempts are %+v", tries)
	}
	s := w.settles(patience, map[string]int{"failed": 1})
	if s.FailedJob != 3 || s.JobRetry != 2 || s.SucceedJob != 0 {
		t.Errorf("the books say %+v", s)
	}
	pods, err := w.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(pods) != 3 {
		t.Errorf("there are %d pods", len(pods))
	}
}

// Tasks whose first attempt fails each have a second attempt of their own: no retry takes another's.
func TestARetryTakesItsOwnTask(t *testing.T) {
	t.Parallel()
	const jobs = 50
	w := install(t)
	ids := w.submitAll(jobs, processData(map[string]any{"records": 1, "pauseMs": 0, "failureRate": 0, "failAttempts": 1}))
	s := w.settles(2*long, map[string]int{"succeeded": jobs})
	if s.FailedJob != jobs || s.JobRetry != jobs || s.SucceedJob != jobs {
		t.Errorf("the books say %+v", s)
	}
	for _, id := range ids {
		j, err := w.job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if tries := j.Attempts; len(tries) != 2 || tries[0].Ending != "failed" || tries[1].Ending != "succeeded" {
			t.Errorf("job %s has the attempts %+v", id, tries)
		}
	}
}

// An empty queue makes no pod, also where KEDA looks at it; what comes then is run.
func TestAnEmptyQueueMakesNoPod(t *testing.T) {
	t.Parallel()
	w := install(t)
	w.scaledJobIs("tallyman-queue-default", "Ready")
	w.Always(time.Minute, "there is no pod of a unit", func(ctx context.Context) error {
		pods, err := w.pods(ctx)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("there is %s", pods[0].Name)
		}
		return err
	})
	w.becomes(w.submit(quick()), "succeeded", long)
	if s := w.settles(patience, map[string]int{"succeeded": 1}); s.Units["noop"] != 0 {
		t.Errorf("the units say %v", s.Units)
	}
}
