package localkube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
)

// attempt makes a unit's next pod and runs it to its end: the kubelet's part.
func (u *unit) attempt(ctx context.Context) error {
	pod, err := u.kube.newPod(u.job)
	if err != nil {
		return err
	}
	dir, err := newPodDir(filepath.Join(u.kube.podsDir(), string(pod.UID)))
	if err != nil {
		return err
	}
	out, err := openLog(dir.log)
	if err != nil {
		return err
	}
	defer out.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	u.update(func() { u.pods, u.pod, u.stopPod = append(u.pods, pod), string(pod.UID), stop })
	for _, name := range []string{contract.ContainerClaim, contract.ContainerRun} {
		if ctx.Err() != nil {
			u.update(func() { u.markStopping(ctx, pod) })
			break
		}
		if !u.container(ctx, pod, dir, name, out) {
			break
		}
	}
	u.update(func() {
		podEnded(pod, u.kube.now())
		u.pod, u.stopPod, u.process = "", nil, nil
	})
	if err := dir.empty(); err != nil {
		u.kube.o.Log.Warn("a pod's folder could not be emptied", "pod", pod.Name, "error", err)
	}
	return nil
}

// container runs one container of a pod to its end; false where the pod ends with it.
func (u *unit) container(ctx context.Context, pod *corev1.Pod, dir podDir, name string, out *boundedLog) bool {
	c := container{
		path: u.kube.o.Processor, arg: name, dir: dir.work, env: u.environment(pod, dir, name), out: out,
		termination: dir.termination(name), clock: u.kube.o.Clock, forker: &u.kube.forker,
	}
	p, ended := c.start()
	if p == nil {
		u.update(func() { containerEnded(pod, name, ended, u.kube.now()) })
		u.hear(ctx, name, ended, dir, out)
		return false
	}
	defer u.watch(name, out)()
	u.update(func() {
		containerStarted(pod, name, p.started)
		u.process = p
	})
	ended = c.wait(ctx, p, u.kube.o.Grace, func() {
		u.update(func() { u.markStopping(ctx, pod) })
	})
	u.update(func() {
		containerEnded(pod, name, ended, ended.FinishedAt.Time)
		u.process = nil
	})
	u.hear(ctx, name, ended, dir, out)
	return ended.ExitCode == 0
}

// markStopping writes into the pod why it is being taken away, if it is, and not yet written.
func (u *unit) markStopping(ctx context.Context, pod *corev1.Pod) {
	var why *stopping
	if pod.DeletionTimestamp == nil && errors.As(context.Cause(ctx), &why) {
		markStopping(pod, why, u.kube.o.Grace, u.kube.now())
	}
}

// graceMargin is what a processor keeps of the grace for itself, after its own child's.
const graceMargin = 5 * time.Second

// environment is what a container sees, as in a pod: Options.Env, the queue's, then its own names.
func (u *unit) environment(pod *corev1.Pod, dir podDir, name string) []string {
	grace := max(u.kube.o.Grace-graceMargin, time.Second)
	env := []string{"TALLYMAN_GRACE_SECONDS=" + strconv.Itoa(int(grace/time.Second))}
	env = append(append(env, u.kube.o.Env...), u.queue.Env...)
	return append(env,
		"TALLYMAN_QUEUE="+u.queue.Name,
		"TALLYMAN_UNIT="+u.uid(),
		"TALLYMAN_UNIT_NAME="+u.job.Name,
		"TALLYMAN_POD_UID="+string(pod.UID),
		"TALLYMAN_POD_NAME="+pod.Name,
		"TALLYMAN_NAMESPACE="+pod.Namespace,
		"TALLYMAN_CLUSTER="+u.kube.o.Cluster,
		"TALLYMAN_NODE="+u.kube.o.Node,
		"TALLYMAN_DIR="+dir.shared,
		"TALLYMAN_TERMINATION_LOG="+dir.termination(name),
	)
}

// podDir is a pod's own folder: what its containers share, where they work, what they leave.
type podDir struct {
	root, shared, work, log string
}

func newPodDir(root string) (podDir, error) {
	d := podDir{root: root, shared: filepath.Join(root, "tallyman"), work: filepath.Join(root, "work"), log: filepath.Join(root, "log")}
	for _, path := range []string{d.shared, d.work} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return podDir{}, fmt.Errorf("make a pod's folder: %w", err)
		}
	}
	return d, nil
}

// hasTask tells whether a claim has left something for the run.
func (d podDir) hasTask() bool {
	left, err := os.ReadDir(d.shared)
	return err == nil && len(left) > 0
}

func (d podDir) termination(container string) string {
	return filepath.Join(d.root, container+".termination")
}

// empty removes all but the log, as the kubelet does with the volumes of a pod that has ended.
func (d podDir) empty() error {
	return errors.Join(os.RemoveAll(d.shared), os.RemoveAll(d.work),
		os.RemoveAll(d.termination(contract.ContainerClaim)), os.RemoveAll(d.termination(contract.ContainerRun)))
}
