package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// badDay is what is wrong with one component, how it is named, and how it is mended.
type badDay struct {
	component string
	names     string // what its one line must hold
	spoil     func()
	mend      func()
	pod       corev1.Pod // the one that begins on that day
}

// Whoever finds something wrong says it in one line, is not Ready, and goes on when it has been mended, without anybody's
// help: no pod is made anew, and no container.
func TestWhatIsWrongIsNamedAndComesGoodWhenItIsMended(t *testing.T) {
	t.Parallel()
	w := install(t)
	days := []*badDay{
		{
			component: "api", names: "connect to NATS at ",
			spoil: func() { w.secret("tallyman-nats-api", "credentials", "api:wrong") },
			mend:  w.restoring("tallyman-nats-api", "credentials"),
		}, {
			component: "bridge", names: "may not watch jobs in namespace " + w.namespace,
			spoil: func() {
				w.patch("role", "tallyman-bridge", `[{"op":"replace","path":"/rules/0/resources","value":["cronjobs"]}]`)
			},
			mend: func() {
				w.patch("role", "tallyman-bridge", `[{"op":"replace","path":"/rules/0/resources","value":["jobs"]}]`)
			},
		}, {
			component: "scheduler", names: "queue default: there is no queue at its url, ",
			spoil: func() { w.askQueue("DeleteQueue", map[string]any{"QueueUrl": w.queueURL("default")}) },
			mend:  func() { w.askQueue("CreateQueue", map[string]any{"QueueName": "default"}) },
		}, {
			component: "aggregator", names: claimsAreDirect,
			spoil: func() { w.allowDirect(true) },
			mend:  func() { w.allowDirect(false) },
		},
	}
	// One after another: a wrong bucket is named by whoever begins on that day, so it comes last.
	for _, d := range days {
		d.spoil()
		w.restarts(d)
		w.isNamed(d)
	}
	for _, d := range days {
		d.mend()
	}
	for _, d := range days {
		w.comesGood(d)
	}
	// What is changed later is named by those who are at work already.
	w.allowDirect(true)
	for _, d := range days {
		w.readyzTells(d, claimsAreDirect)
	}
	w.allowDirect(false)
	for _, d := range days {
		w.comesGood(d)
	}
	w.isReachable()
	w.becomes(w.submit(quick()), "succeeded", long)
	w.settles(patience, map[string]int{"succeeded": 1})
}

// claimsAreDirect is how a setting of the claims is named by which one stale read would cost a run.
const claimsAreDirect = "stream KV_claims: allow direct is true, needed is false"

// restarts takes a component's pod away, and notes which one comes.
func (w *tallyman) restarts(d *badDay) {
	w.t.Helper()
	old := w.podOf(d.component)
	w.Kubectl("-n", w.namespace, "delete", "pod", old.Name, "--grace-period=1")
	d.pod = w.podOf(d.component)
	if d.pod.Name == old.Name {
		w.t.Fatalf("pod %s is still there", old.Name)
	}
}

// isNamed waits until the new pod says what is wrong, to whoever asks and in one line of its log, and is not Ready.
func (w *tallyman) isNamed(d *badDay) {
	w.t.Helper()
	w.readyzTells(d, d.names)
	w.Always(5*time.Second, d.component+" is not Ready", func(ctx context.Context) error {
		pod, err := w.Client().CoreV1().Pods(w.namespace).Get(ctx, d.pod.Name, metav1.GetOptions{})
		if err == nil && isReady(pod) {
			err = errors.New("it is")
		}
		return err
	})
	w.saysOnce(d)
}

// readyzTells waits until whoever asks the pod whether it is ready is told what is wrong.
func (w *tallyman) readyzTells(d *badDay, names string) {
	w.t.Helper()
	w.Eventually(2*time.Minute, d.component+" names "+names, func(ctx context.Context) error {
		code, said, err := get(ctx, "http://"+d.pod.Status.PodIP+":8081/readyz")
		if err != nil {
			return err
		}
		if code != http.StatusServiceUnavailable || !strings.Contains(said, names) {
			return fmt.Errorf("/readyz answered %d: %s", code, said)
		}
		return nil
	})
}

// saysOnce looks for the one line in the log that names the fault, however often it was tried.
func (w *tallyman) saysOnce(d *badDay) {
	w.t.Helper()
	lines := 0
	log := logOf(w.t, w.Cluster, w.namespace, d.pod.Name)
	for line := range strings.Lines(log) {
		if strings.Contains(line, d.names) {
			lines++
		}
	}
	if lines != 1 {
		w.t.Errorf("%s says %d times %q:\n%s", d.component, lines, d.names, log)
	}
}

// comesGood waits until the same pod, in its first container, is Ready.
func (w *tallyman) comesGood(d *badDay) {
	w.t.Helper()
	w.Eventually(2*time.Minute, d.component+" is Ready again", func(ctx context.Context) error {
		pod, err := w.Client().CoreV1().Pods(w.namespace).Get(ctx, d.pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if n := pod.Status.ContainerStatuses[0].RestartCount; n != 0 {
			return fmt.Errorf("it was started again %d times", n)
		}
		if !isReady(pod) {
			return errors.New("it is not")
		}
		return nil
	})
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// secret writes one value of a Secret.
func (w *tallyman) secret(name, key, value string) {
	w.t.Helper()
	w.patch("secret", name, fmt.Sprintf(`[{"op":"replace","path":"/data/%s","value":%q}]`, key, base64.StdEncoding.EncodeToString([]byte(value))))
}

// restoring gives what puts a Secret's value back as it is now.
func (w *tallyman) restoring(name, key string) func() {
	w.t.Helper()
	have, err := w.Client().CoreV1().Secrets(w.namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return func() { w.secret(name, key, string(have.Data[key])) }
}

func (w *tallyman) patch(kind, name, json string) {
	w.t.Helper()
	w.Kubectl("-n", w.namespace, "patch", kind, name, "--type=json", "-p", json)
}

// sqs is the endpoint of the chart's own SQS.
func (w *tallyman) sqs() string { return "http://" + w.Service(w.namespace, "tallyman-sqs", 9324) }

func (w *tallyman) queueURL(queue string) string { return w.sqs() + "/000000000000/" + queue }

func (w *tallyman) askQueue(operation string, in any) {
	w.t.Helper()
	w.Eventually(2*time.Minute, operation, func(ctx context.Context) error {
		return askSQS(ctx, w.sqs(), operation, in, &struct{}{})
	})
}

// jetStream is NATS as an administrator has it, until the test ends.
func (w *tallyman) jetStream() jetstream.JetStream {
	w.t.Helper()
	credentials, err := w.Client().CoreV1().Secrets(w.namespace).Get(w.t.Context(), "tallyman-nats-admin", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	user, password, _ := strings.Cut(strings.TrimSpace(string(credentials.Data["credentials"])), ":")
	nc, err := nats.Connect("nats://"+w.Service(w.namespace, "tallyman-nats", 4222), nats.UserInfo(user, password),
		nats.CustomInboxPrefix("_INBOX_admin"), nats.MaxReconnects(-1))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	return js
}

// allowDirect changes a setting of the claims' bucket that correctness rests on, as an administrator could.
func (w *tallyman) allowDirect(allow bool) {
	w.t.Helper()
	js := w.jetStream()
	bucket, err := js.Stream(w.t.Context(), "KV_claims")
	if err != nil {
		w.t.Fatal(err)
	}
	config := bucket.CachedInfo().Config
	config.AllowDirect = allow
	if _, err := js.UpdateStream(w.t.Context(), config); err != nil {
		w.t.Fatal(err)
	}
}

// get asks one address.
func get(ctx context.Context, url string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, string(b), err
}
