package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/cluster"
)

// checksums is a queue whose image is examples/own-image: a program in C, in an image from nothing.
func checksums(image string) string {
	return fmt.Sprintf(`queues=[{"name":"checksums","image":%q,
		"env":[{"name":"CHECKSUM_SALT","valueFrom":{"secretKeyRef":{"name":"checksum","key":"salt"}}}],
		"resources":{"requests":{"cpu":"10m","memory":"16Mi"}},
		"types":[{"name":"checksum","command":["/usr/local/bin/checksum"]}]}]`, image)
}

const (
	salt     = "of the sea"
	checksum = `{"what":"a payload, byte for byte"}`
)

func (w *tallyman) giveSalt() {
	w.t.Helper()
	w.Kubectl("-n", w.namespace, "create", "secret", "generic", "checksum", "--from-literal=salt="+salt)
}

func (w *tallyman) submitChecksum() string {
	w.t.Helper()
	return w.submit(post{Queue: "checksums", Type: "checksum", Payload: json.RawMessage(checksum)})
}

// checked waits until a checksum has its result, and holds that to Go's own CRC-32.
func (w *tallyman) checked(id string) {
	w.t.Helper()
	w.becomes(id, "succeeded", long)
	var said struct {
		Result struct {
			Bytes  int    `json:"bytes"`
			CRC32  string `json:"crc32"`
			Salted bool   `json:"salted"`
		} `json:"result"`
	}
	if err := w.ask(w.t.Context(), http.MethodGet, "/jobs/"+id, nil, &said); err != nil {
		w.t.Fatal(err)
	}
	got, want := said.Result, fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(salt+checksum)))
	if got.CRC32 != want || got.Bytes != len(checksum) || !got.Salted {
		w.t.Errorf("the result is %+v, want the CRC-32 %s of %d bytes with salt", got, want, len(checksum))
	}
}

// An image of another language runs as it is: the processor is brought along, the message is taken in the image, and
// the work is done in it with what its Secret says. Ours come from where docs/images.md has them pushed, which is not what
// the chart asks for by itself.
func TestAnImageOfOnesOwn(t *testing.T) {
	c := cluster.Join(t)
	image, registry := c.Images()["own-image"], c.Registry()+"/theirs"
	for _, short := range []string{"api", "scheduler", "bridge", "aggregator", "tallyman", "processor"} {
		publish(t, c.Images()[short], registry+"/tallyman/"+short+":0.1.0")
	}
	w := install(t, checksums(image), fmt.Sprintf("image.registry=%q", registry), `nats.image.registry="docker.io"`)
	w.runsFrom(registry)
	w.giveSalt()
	w.checked(w.submitChecksum())
	w.allDone(patience)
	pods, err := w.pods(t.Context())
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d pods, %v", len(pods), err)
	}
	for container, want := range map[string]string{"claim": image, "run": image, "install": registry + "/tallyman/processor:0.1.0"} {
		if got := runsIn(&pods[0], container); got != want {
			t.Errorf("%s runs in %q, want %q", container, got, want)
		}
	}
	for _, s := range append(pods[0].Status.InitContainerStatuses, pods[0].Status.ContainerStatuses...) {
		if ended := s.State.Terminated; ended == nil || ended.ExitCode != 0 {
			t.Errorf("container %s: %+v", s.Name, s.State)
		}
	}
}

// runsFrom holds every pod but that of NATS to images of one registry.
func (w *tallyman) runsFrom(registry string) {
	w.t.Helper()
	list, err := w.Client().CoreV1().Pods(w.namespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		w.t.Fatalf("%d pods, %v", len(list.Items), err)
	}
	for i := range list.Items {
		for _, container := range list.Items[i].Spec.Containers {
			if !strings.HasPrefix(container.Image, registry+"/") && container.Image != "docker.io/nats:2.15.2" {
				w.t.Errorf("pod %s runs %s, not one of %s", list.Items[i].Name, container.Image, registry)
			}
		}
	}
}

// While its image cannot be pulled, a queue keeps every message; the bridge says of each pod that it cannot claim, once;
// Kubernetes' own words on it are on the stream, with whose they are; and when the image is there, the same pods run the jobs.
func TestAnImageThatIsNotThere(t *testing.T) {
	c := cluster.Join(t)
	missing := c.Registry() + "/elsewhere/own-image:1"
	w := install(t, checksums(missing))
	w.giveSalt()
	ids := []string{w.submitChecksum(), w.submitChecksum(), w.submitChecksum()}
	w.explains("checksums", contract.KindPod, contract.Warning, missing, "Failed", "BackOff")
	w.keeps("checksums", ids)
	pods, err := w.pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.claimsFail("checksums", contract.ImagePull, missing, len(pods))
	publish(t, c.Images()["own-image"], missing)
	for _, id := range ids {
		w.checked(id)
	}
	w.settles(patience, map[string]int{"succeeded": 3})
	w.claimsFail("checksums", contract.ImagePull, missing, len(pods))
}

// Without a Secret that a queue's environment names, KEDA makes no pod, since it reads the Secret itself, once; where it goes
// after that, and where it is a volume, the pod waits. No message is taken, and it is said why.
func TestASecretThatIsNotThere(t *testing.T) {
	image := cluster.Join(t).Images()["own-image"]
	t.Run("in the environment", func(t *testing.T) {
		w := install(t, checksums(image))
		ids := []string{w.submitChecksum(), w.submitChecksum()}
		w.explains("checksums", contract.KindScaledJob, contract.Warning, "Name:checksum,", "KEDAScalerFailed")
		w.keeps("checksums", ids)
		if pods, err := w.pods(t.Context()); err != nil || len(pods) > 0 {
			t.Errorf("%d pods, %v", len(pods), err)
		}
		x := w.comesTo(ids[0], "keda-not-ready", "Name:checksum,")
		w.giveSalt()
		w.does(x.Next[len(x.Next)-1]) // by itself KEDA may look for it minutes later
		for _, id := range ids {
			w.checked(id)
		}
	})
	t.Run("gone when KEDA has read it", func(t *testing.T) {
		w := prepare(t)
		w.giveSalt()
		w.install(checksums(image))
		w.checked(w.submitChecksum())
		w.Kubectl("-n", w.namespace, "delete", "secret", "checksum")
		id := w.submitChecksum()
		const missing = `secret "checksum" not found`
		w.comesTo(id, "missing-config", missing)
		w.keeps("checksums", []string{id})
		w.claimsFail("checksums", contract.ConfigError, missing, 1)
		w.giveSalt()
		w.checked(id)
		w.settles(patience, map[string]int{"succeeded": 2})
		w.claimsFail("checksums", contract.ConfigError, missing, 1)
	})
	t.Run("as a volume", func(t *testing.T) {
		values := strings.Replace(checksums(image), `"env":`, `"volumes":[{"name":"keys","secret":{"secretName":"absent"}}],
			"volumeMounts":[{"name":"keys","mountPath":"/keys"}],"env":`, 1)
		w := install(t, values)
		w.giveSalt()
		id := w.submitChecksum()
		w.explains("checksums", contract.KindPod, contract.Warning, `"absent" not found`, "FailedMount")
		w.keeps("checksums", []string{id})
		w.Kubectl("-n", w.namespace, "create", "secret", "generic", "absent", "--from-literal=a=b")
		w.checked(id)
	})
}

// explains waits until Kubernetes' words on a kind of object of a queue, which hold this text, are on the stream SCALING
// under one of these reasons.
func (w *tallyman) explains(queue, kind string, severity contract.Severity, text string, reasons ...string) {
	w.t.Helper()
	s := w.tap()
	w.Eventually(long, fmt.Sprintf("SCALING says of a %s: %s", kind, text), func(ctx context.Context) error {
		found := false
		var said []string
		err := s.Scaling(ctx, queue, time.Now().Add(-time.Hour), func(e contract.Scaling) error {
			said = append(said, fmt.Sprintf("%s %s: %s: %s", e.Kind, e.Name, e.Reason, e.Message))
			if e.Kind != kind || e.Severity != severity || !strings.Contains(e.Message, text) {
				return nil
			}
			found = true
			if !slices.Contains(reasons, e.Reason) || e.Namespace != w.namespace || e.Name == "" {
				return fmt.Errorf("%w: nobody could explain by %+v", cluster.ErrNever, e)
			}
			if kind == contract.KindPod && (e.Unit == "" || e.ScaledJob == "") {
				return fmt.Errorf("%w: it does not say whose pod that is: %+v", cluster.ErrNever, e)
			}
			return nil
		})
		if err == nil && !found {
			err = fmt.Errorf("it says %q", said)
		}
		return err
	})
}

// claimsFail waits until the bridge has said of so many pods of a queue that they cannot claim, by this reason and in these
// words, and the books count them; it fails where a pod is named twice, or anything else is said of one.
func (w *tallyman) claimsFail(queue string, reason contract.Reason, text string, pods int) {
	w.t.Helper()
	s := w.tap()
	w.Eventually(long, fmt.Sprintf("%d pods of %s cannot claim: %s", pods, queue, reason), func(ctx context.Context) error {
		said := map[string]bool{}
		err := s.Read(ctx, 1, func(stored stream.Stored) error {
			e := &stored.Event
			if e.Kind != contract.ClaimFailed {
				return nil
			}
			if said[e.Pod] || e.Queue != queue || e.Source != contract.SourceBridge || e.Reason != reason || !strings.Contains(e.Message, text) {
				return fmt.Errorf("%w: of %d pods before it, %+v", cluster.ErrNever, len(said), *e)
			}
			said[e.Pod] = true
			return nil
		})
		if err == nil && len(said) != pods {
			err = fmt.Errorf("it was said of %d", len(said))
		}
		return err
	})
	w.Eventually(patience, "the books count them", func(context.Context) error {
		if s := w.stats(); s.Units["claimFailed"] != pods {
			return fmt.Errorf("they hold %+v", s.Units)
		}
		return nil
	})
}

// tap connects to the install's NATS as the user for people who look, with that user's rights.
func (w *tallyman) tap() *stream.Stream {
	w.t.Helper()
	secret := w.Kubectl("-n", w.namespace, "get", "secret", "tallyman-nats-tap", "--output", "go-template={{.data.credentials | base64decode}}")
	file := filepath.Join(w.t.TempDir(), "tap")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		w.t.Fatal(err)
	}
	s, err := stream.Connect(w.t.Context(), stream.Options{
		URL: "nats://" + w.Service(w.namespace, "tallyman-nats", 4222), Credentials: file, Inbox: "_INBOX_tap", Name: "test",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

// keeps holds a queue to having every one of these jobs' messages, and nobody having taken one.
func (w *tallyman) keeps(queue string, ids []string) {
	w.t.Helper()
	w.Always(10*time.Second, "every message stays in SQS", func(ctx context.Context) error {
		var answer struct{ Attributes map[string]string }
		err := askSQS(ctx, w.sqs(), "GetQueueAttributes",
			map[string]any{"QueueUrl": w.queueURL(queue), "AttributeNames": []string{"All"}}, &answer)
		if err == nil && (answer.Attributes["ApproximateNumberOfMessages"] != fmt.Sprint(len(ids)) ||
			answer.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0") {
			err = fmt.Errorf("of %d messages SQS says %v", len(ids), answer.Attributes)
		}
		return err
	})
	for _, id := range ids {
		if j, err := w.job(w.t.Context(), id); err != nil || j.State != "queued" || len(j.Attempts) > 0 {
			w.t.Errorf("job %s: %+v, %v", id, j, err)
		}
	}
}

// publish gives an image of the cluster's registry another name.
func publish(t *testing.T, from, to string) {
	t.Helper()
	source, err := name.ParseReference(from)
	if err != nil {
		t.Fatal(err)
	}
	target, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(source, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(target, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// runsIn is the image of a pod's container.
func runsIn(pod *corev1.Pod, container string) string {
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}
