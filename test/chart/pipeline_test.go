package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// The real programs, as the chart starts them: its environment, its configuration, its NATS users, its SQS. In
// the place of Kubernetes the test makes one pod at a time. A job goes from the chart's own test to its end,
// another's pod is lost, and nobody does what the server has to refuse.
func TestPipelineAsTheChartStartsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sqs()
	w.components("api", "scheduler", "aggregator")
	w.runsTheTest()

	// Its pod is gone before it worked: only the bridge can say so, and its rights suffice.
	lost := w.helmTest()
	until(t, time.Minute, func(context.Context) error { return w.pod(contract.ContainerClaim, "unit-2") })
	w.components("bridge")
	lost.ends(t, 1)
	w.ask("doctor").ends(t, 0) // of what helm test asks, too

	for _, said := range w.nats.log.all() {
		if strings.Contains(said, "Violation") {
			t.Errorf("NATS refused: %s", said)
		}
	}
}

// components starts some, all at once, and waits until they are ready.
func (w *world) components(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.component(name)
	}
	for _, name := range names {
		until(w.t, time.Minute, answers("http://"+w.admin[name]+"/readyz"))
	}
}

// runsTheTest is the chart's own test and the pod of unit-1 that does its job.
func (w *world) runsTheTest() {
	w.t.Helper()
	submit := w.helmTest()
	until(w.t, time.Minute, func(context.Context) error { return w.pod(contract.ContainerClaim, "unit-1") })
	if err := w.pod(contract.ContainerRun, "unit-1"); err != nil {
		w.t.Errorf("run: %v", err)
	}
	submit.ends(w.t, 0)
}

// world is a release without a cluster.
type world struct {
	t       *testing.T
	objects []*object
	nats    *natsServer
	dir     string
	api     string
	admin   map[string]string
	replace *strings.Replacer // the addresses and paths of a cluster, by those of this machine
	kube    *fakeKubernetes
	gates   map[string]*gate // by role, where SQS gives no more than the documented rights
}

const sqsAddr = "http://r-tallyman-sqs.jobs.svc:9324"

func newWorld(t *testing.T) *world {
	t.Helper()
	objects := render(t, "helm3", "-f", "testdata/values/try.yaml")
	w := &world{t: t, objects: objects, nats: startNATS(t, objects), dir: t.TempDir(), api: free(t), admin: make(map[string]string), kube: newFakeKubernetes(t)}
	w.replace = strings.NewReplacer(
		sqsAddr, "http://"+free(t),
		"nats://r-tallyman-nats.jobs.svc:4222", w.nats.ClientURL(),
		"http://r-tallyman-api:8080", "http://"+w.api,
	)
	return w
}

// write puts a ConfigMap's configuration into a file, as a pod's volume does.
func (w *world) write(configMap string) string {
	w.t.Helper()
	cm := one[*corev1.ConfigMap](w.t, w.objects, configMap)
	path := filepath.Join(w.t.TempDir(), configMap+".json") // a new one each time: another program may be reading
	if err := os.WriteFile(path, []byte(w.replace.Replace(cm.Data["config.json"])), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// env is a container's environment on this machine; set says what differs beside the addresses.
func (w *world) env(c corev1.Container, set map[string]string) []string {
	w.t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir}
	for _, e := range c.Env {
		value := e.Value
		switch {
		case set[e.Name] != "":
			value = set[e.Name]
		case e.Name == "AWS_ENDPOINT_URL_SQS" && w.gates[roleOf(c)] != nil:
			value = w.gates[roleOf(c)].addr
		case e.ValueFrom == nil:
			value = w.replace.Replace(value)
		case e.ValueFrom.SecretKeyRef != nil:
			secret := one[*corev1.Secret](w.t, w.objects, e.ValueFrom.SecretKeyRef.Name)
			value = string(secret.Data[e.ValueFrom.SecretKeyRef.Key])
		default:
			w.t.Fatalf("%s: the test does not know %s", c.Name, e.Name)
		}
		env = append(env, e.Name+"="+value)
	}
	return env
}

// roleOf gives the role of the program in a container.
func roleOf(c corev1.Container) string {
	if c.Name == contract.ContainerClaim || c.Name == contract.ContainerRun {
		return "processor"
	}
	return c.Name
}

// sqs runs `tallyman sqs` as the chart does.
func (w *world) sqs() {
	w.t.Helper()
	c := one[*appsv1.StatefulSet](w.t, w.objects, "r-tallyman-sqs").Spec.Template.Spec.Containers[0]
	addr := strings.TrimPrefix(w.replace.Replace(sqsAddr), "http://")
	here := map[string]string{
		":9324": addr, "/data/sqs.db": filepath.Join(w.dir, "sqs.db"), "/etc/tallyman/config/config.json": w.write("r-tallyman-config"),
	}
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		if args[i] = a; here[a] != "" {
			args[i] = here[a]
		}
	}
	start(w.t, w.env(c, nil), "tallyman", args...)
}

// component runs api, scheduler, aggregator or bridge as the chart does.
func (w *world) component(name string) {
	w.t.Helper()
	w.admin[name] = free(w.t)
	set := map[string]string{
		"TALLYMAN_ADMIN": w.admin[name], "TALLYMAN_ADDR": w.api, "TALLYMAN_INDEX": filepath.Join(w.dir, "index.db"),
		"TALLYMAN_NATS_CREDENTIALS": w.nats.credentials(w.t, name), "TALLYMAN_CONFIG": w.write("r-tallyman-config"),
	}
	c := one[*appsv1.Deployment](w.t, w.objects, "r-tallyman-"+name).Spec.Template.Spec.Containers[0]
	env := w.env(c, set)
	if name == "bridge" { // in a pod its service account says these
		env = append(env, "TALLYMAN_KUBECONFIG="+w.kube.kubeconfig(w.t), "TALLYMAN_LEASE_NAMESPACE="+namespace)
	}
	start(w.t, env, name, c.Args...)
}

// helmTest runs the job of `helm test`.
func (w *world) helmTest() *process {
	w.t.Helper()
	return w.ask("test")
}

// ask runs one of the containers that `helm test` runs.
func (w *world) ask(container string) *process {
	w.t.Helper()
	for _, c := range one[*corev1.Pod](w.t, w.objects, "r-tallyman-test").Spec.Containers {
		if c.Name == container {
			return start(w.t, w.env(c, nil), "tallyman", c.Args...)
		}
	}
	w.t.Fatalf("helm test has no container %s", container)
	return nil
}

// pod runs one container of the queue's pod.
func (w *world) pod(container, unit string) error {
	template := scaledJobOf(w.t, w.objects, "default").Spec.JobTargetRef.Template.Spec
	c := template.Containers[0]
	if container == contract.ContainerClaim {
		c = template.InitContainers[0]
	}
	dir := filepath.Join(w.dir, unit)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	env := w.env(c, map[string]string{
		"TALLYMAN_UNIT": unit, "TALLYMAN_UNIT_NAME": "r-tallyman-queue-default-" + unit, "TALLYMAN_NAMESPACE": namespace,
		"TALLYMAN_POD_NAME": unit + "-pod", "TALLYMAN_POD_UID": unit + "-pod-uid", "TALLYMAN_NODE": "node",
		"TALLYMAN_CONFIG": w.write("r-tallyman-queue-default"), "TALLYMAN_NATS_CREDS": w.nats.credentials(w.t, "processor-default"),
	})
	env = append(env, "TALLYMAN_DIR="+dir, "TALLYMAN_TERMINATION_LOG="+filepath.Join(dir, "termination"), "TALLYMAN_RECEIVE_SECONDS=1")
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(w.t, "processor"), c.Args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("processor %s: %w: %s", container, err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "claim.json")); err != nil {
		return fmt.Errorf("processor %s found no message", container)
	}
	return nil
}

// binary gives a program that `make build` has made.
func binary(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/" + name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: run `make build` first", err)
	}
	return path
}

// process is a program under way. It is ended with the test.
type process struct {
	name  string
	ended chan error
	mu    sync.Mutex
	said  bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary(t, name), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = env, p, p, 40*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		p.ended <- cmd.Wait()
		close(over)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
		if t.Failed() {
			t.Logf("%s:\n%s", p.name, p.text())
		}
	})
	return p
}

// ends waits for the program's own end.
func (p *process) ends(t *testing.T, code int) {
	t.Helper()
	select {
	case err := <-p.ended:
		got := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			got = exit.ExitCode()
		}
		if got != code {
			t.Errorf("%s exited with %d, want %d:\n%s", p.name, got, code, p.text())
		}
	case <-time.After(2 * time.Minute):
		t.Errorf("%s does not end:\n%s", p.name, p.text())
	}
}

// A component whose user may not make streams waits for the one who may, by a name.
func TestOthersWaitForTheAggregator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.component("scheduler")
	until(t, time.Minute, func(ctx context.Context) error {
		err := answers("http://" + w.admin["scheduler"] + "/readyz")(ctx)
		if err == nil || !strings.Contains(err.Error(), "stream EVENTS is missing") {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
	if err := w.nats.dial(t, "aggregator").Ensure(t.Context(), stream.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	until(t, time.Minute, answers("http://"+w.admin["scheduler"]+"/readyz"))
}
