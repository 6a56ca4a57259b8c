package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
	"tallyman/test/bench/figures"
	"tallyman/test/cluster/control"
)

const (
	samples = 40
	// pace is the time from one of a kind to the next. It is no part of KEDA's interval, so that the posts fall evenly
	// into it, wherever the first falls.
	pace = 2700 * time.Millisecond
	// overhead is what a job may take beyond a bare Kubernetes Job and KEDA's interval, in seconds.
	overhead = 1.2
	warmUps  = 2
)

// running measures the time from a post until the container runs, each beside a bare Kubernetes Job made in between, so
// that both have the same machine under the same load.
func running(ctx context.Context, w *world, t *figures.Table) error {
	fmt.Fprintf(os.Stderr, "measuring %d jobs beside as many bare Kubernetes Jobs\n", samples)
	for i := range warmUps { // images are pulled, connections made
		id, err := w.post(ctx)
		if err != nil {
			return err
		}
		if _, err := w.started(ctx, id); err != nil {
			return err
		}
		if err := w.create(ctx, "warm-"+strconv.Itoa(i)); err != nil {
			return err
		}
		if _, err := w.began(ctx, "warm-"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	jobs, bare, err := w.alternate(ctx)
	if err != nil {
		return err
	}
	bare95 := figures.Percentile(bare, 95)
	t.Add("cluster: bare Kubernetes Job, created to running, p50", figures.Percentile(bare, 50), "s", 0, figures.None())
	t.Add("cluster: bare Kubernetes Job, created to running, p95", bare95, "s", 0, figures.None())
	t.Add("cluster: job, posted to running, p50", figures.Percentile(jobs, 50), "s", figures.Percentile(bare, 50), figures.None())
	t.Add("cluster: job, posted to running, p95", figures.Percentile(jobs, 95), "s", bare95, figures.AtMost(math.Round(100*(bare95+interval+overhead))/100))
	s, err := w.stats(ctx)
	if err != nil {
		return err
	}
	t.Add("cluster: of that, queued to claimed, p95", s.Latency.Claim.P95, "s", interval, figures.None())
	t.Add("cluster: of that, claimed to started, p95", s.Latency.Start.P95, "s", bare95, figures.None())
	t.Add("cluster: pods that found nothing, beside those that found a job", float64(s.Units.Noop), "pods", float64(s.Attempts.Total), figures.AtMost(0))
	return nil
}

// alternate posts jobs and makes bare ones at a steady pace, and then asks all of them when they began.
func (w *world) alternate(ctx context.Context) (jobs, bare []time.Duration, err error) {
	ticker := time.NewTicker(pace / 2)
	defer ticker.Stop()
	ids, posted, created := make([]string, samples), make([]time.Time, samples), make([]time.Time, samples)
	for i := range samples {
		posted[i] = time.Now()
		if ids[i], err = w.post(ctx); err != nil {
			return nil, nil, err
		}
		<-ticker.C
		created[i] = time.Now()
		if err := w.create(ctx, "bare-"+strconv.Itoa(i)); err != nil {
			return nil, nil, err
		}
		<-ticker.C
	}
	for i := range samples {
		at, err := w.started(ctx, ids[i])
		if err != nil {
			return nil, nil, err
		}
		jobs = append(jobs, at.Sub(posted[i]))
		if at, err = w.began(ctx, "bare-"+strconv.Itoa(i)); err != nil {
			return nil, nil, err
		}
		bare = append(bare, at.Sub(created[i]))
	}
	return jobs, bare, nil
}

func (w *world) post(ctx context.Context) (string, error) {
	var receipt struct {
		JobID string `json:"jobId"`
	}
	err := w.ask(ctx, http.MethodPost, "/jobs", map[string]any{
		"queue": "default", "type": "process-data", "payload": map[string]any{"records": 1, "pauseMs": 0, "failureRate": 0},
	}, &receipt)
	return receipt.JobID, err
}

// started is when the work of a job's first attempt began, as its processor says.
func (w *world) started(ctx context.Context, id string) (at time.Time, err error) {
	err = until(ctx, 2*time.Minute, func(ctx context.Context) error {
		var job struct {
			Attempts []struct {
				StartedAt contract.Time `json:"startedAt"`
			} `json:"attempts"`
		}
		if err := w.ask(ctx, http.MethodGet, "/jobs/"+id, nil, &job); err != nil {
			return err
		}
		if len(job.Attempts) == 0 || job.Attempts[0].StartedAt.IsZero() {
			return fmt.Errorf("job %s has not started", id)
		}
		at = job.Attempts[0].StartedAt.Time
		return nil
	})
	return at, err
}

// create makes a Kubernetes Job of one container that says when it began, with the same restrictions as ours have.
func (w *world) create(ctx context.Context, name string) error {
	yes, no := true, false
	_, err := w.kube.BatchV1().Jobs(namespace).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "now", Image: control.Registry + "/" + toolbox, Args: []string{"now", corev1.TerminationMessagePathDefault},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		}}},
	}, metav1.CreateOptions{})
	return err
}

// began is when the container of a bare Kubernetes Job began, as it says itself: Kubernetes tells it by the second.
func (w *world) began(ctx context.Context, name string) (at time.Time, err error) {
	err = until(ctx, 2*time.Minute, func(ctx context.Context) error {
		pods, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + name})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			for _, s := range pod.Status.ContainerStatuses {
				if s.State.Terminated != nil && s.State.Terminated.ExitCode == 0 {
					at, err = time.Parse(time.RFC3339Nano, s.State.Terminated.Message)
					return err
				}
			}
		}
		return fmt.Errorf("the pod of Kubernetes Job %s has not ended", name)
	})
	return at, err
}
