package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/cluster/control"
)

const (
	namespace = "bench"
	toolbox   = "toolbox:1"
	// interval is the chart's own default of KEDA's pollingInterval, in seconds.
	interval = 5
	// crowd is how many pods run at once when the bridge is measured.
	crowd = 100
)

// queues are two: one as the chart has it, and one whose jobs only wait, a hundred at a time.
var queues = fmt.Sprintf(`queues=[
	{"name":"default","pollingInterval":%d,"types":[{"name":"process-data"}]},
	{"name":"crowd","image":%q,"max":%d,"grace":"2s","pollingInterval":1,
	 "resources":{"requests":{"cpu":"1m","memory":"8Mi"}},"claimResources":{"requests":{"cpu":"1m","memory":"8Mi"}},
	 "types":[{"name":"wait","command":["/toolbox","wait"]}]}]`, interval, control.Registry+"/"+toolbox, crowd)

// world is an install on the cluster around this program.
type world struct {
	kube kubernetes.Interface
	api  string
	tap  *stream.Stream // NATS, as the user for people who look
}

// install puts Tallyman on the cluster, from the root of the checkout, as the chart is by itself: what its components
// request is their share of a node that has more to do than it can, and so is part of what is measured.
func install(ctx context.Context) (*world, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(control.KubeconfigEnv))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 200, 400
	w := &world{api: "http://tallyman-api." + namespace + ".svc.cluster.local:8080"}
	if w.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if err := control.PushProgram(ctx, toolbox, os.Getenv("TALLYMAN_CLUSTER_TOOLBOX"), "/toolbox"); err != nil {
		return nil, err
	}
	_, err = w.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "installing Tallyman")
	helm := exec.CommandContext(ctx, "helm", "install", "tallyman", "charts/tallyman", "--namespace", namespace,
		"--set", "nats.bundled=true,sqs.bundled=true", "--set-json", queues, "--wait", "--timeout", "5m")
	helm.Env = append(os.Environ(), "HELM_CACHE_HOME="+os.TempDir(), "HELM_CONFIG_HOME="+os.TempDir(), "HELM_DATA_HOME="+os.TempDir())
	if out, err := helm.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("helm install: %w\n%s", err, out)
	}
	return w, w.connect(ctx)
}

func (w *world) connect(ctx context.Context) error {
	secret, err := w.kube.CoreV1().Secrets(namespace).Get(ctx, "tallyman-nats-tap", metav1.GetOptions{})
	if err != nil {
		return err
	}
	file := filepath.Join(os.TempDir(), "tap")
	if err := os.WriteFile(file, secret.Data["credentials"], 0o600); err != nil {
		return err
	}
	w.tap, err = stream.Connect(ctx, stream.Options{
		URL: "nats://tallyman-nats." + namespace + ".svc.cluster.local:4222", Credentials: file, Inbox: "_INBOX_tap", Name: "bench",
	})
	return err
}

// ask sends one request and decodes a good answer into out.
func (w *world) ask(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, w.api+path, &body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return errors.New(method + " " + path + ": " + strconv.Itoa(response.StatusCode) + ": " + string(b))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

func (w *world) stats(ctx context.Context) (contract.Stats, error) {
	var s contract.Stats
	err := w.ask(ctx, http.MethodGet, "/jobs/stats", nil, &s)
	return s, err
}

// until asks again until it is so, for at most that long, and tells the last answer otherwise.
func until(ctx context.Context, within time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", within, err)
		case <-ticker.C:
		}
	}
}
