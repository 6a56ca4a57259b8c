package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"tallyman/test/cluster"
)

const patience = time.Minute

func TestTheNodeIsReady(t *testing.T) {
	c := cluster.Join(t)
	c.Eventually(patience, "it is", func(ctx context.Context) error { return nodeReady(ctx, c, true) })
}

func TestAPodRunsAndItsLogIsRead(t *testing.T) {
	c := cluster.Join(t)
	namespace := c.Namespace()
	createPod(c, t, namespace, "say", podSpec(c, "say", "counted", "once"))
	ended(t, c, namespace, "say", corev1.PodSucceeded)
	if got := logOf(t, c, namespace, "say"); got != "counted once\n" {
		t.Errorf("its log is %q", got)
	}
}

func TestAServiceIsFoundByItsName(t *testing.T) {
	c := cluster.Join(t)
	namespace := c.Namespace()
	for _, name := range []string{"server-0", "server-1"} {
		createPod(c, t, namespace, name, podSpec(c, "serve", ":8080", "answered"))
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "server"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	if _, err := c.Client().CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Eventually(patience, "the test reaches the Service", func(ctx context.Context) error {
		return answers(ctx, "http://"+c.Service(namespace, "server", 80), "answered")
	})
	// KEDA is a process of the node, and is given the names that pods use.
	if err := answers(t.Context(), "http://server."+namespace+".svc", "answered"); err != nil {
		t.Error("by the name without the cluster's domain: ", err)
	}
	createPod(c, t, namespace, "client", podSpec(c, "get", "http://server"))
	ended(t, c, namespace, "client", corev1.PodSucceeded)
	if got := logOf(t, c, namespace, "client"); got != "answered" {
		t.Errorf("a pod got %q", got)
	}
	if err := answers(t.Context(), "http://"+c.PortForward(namespace, "server-0", 8080), "answered"); err != nil {
		t.Error("forwarded: ", err)
	}
}

func TestAKubernetesJobRetriesAsOftenAsItMay(t *testing.T) {
	c := cluster.Join(t)
	namespace := c.Namespace()
	once, pod := int32(1), podSpec(c, "exit", "3")
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "fails"},
		Spec:       batchv1.JobSpec{BackoffLimit: &once, Template: corev1.PodTemplateSpec{Spec: pod}},
	}
	jobs := c.Client().BatchV1().Jobs(namespace)
	if _, err := jobs.Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Eventually(patience, "the Kubernetes Job fails after two pods", func(ctx context.Context) error {
		now, err := jobs.Get(ctx, "fails", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range now.Status.Conditions {
			if condition.Type == batchv1.JobFailed && condition.Reason == batchv1.JobReasonBackoffLimitExceeded && now.Status.Failed == 2 {
				return nil
			}
		}
		return fmt.Errorf("its status is %+v", now.Status)
	})
}

var scaledJobs = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledjobs"}

func TestKEDAReportsOnAScaledJobAndMakesKubernetesJobs(t *testing.T) {
	c := cluster.Join(t)
	namespace := c.Namespace()
	toolbox(c)
	template := map[string]any{"spec": map[string]any{
		"restartPolicy":   "Never",
		"securityContext": map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
		"containers": []any{map[string]any{
			"name": "say", "image": image, "args": []any{"say", "scaled"},
			"securityContext": map[string]any{
				"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}},
			},
		}},
	}}
	now := time.Now().UTC()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
		"metadata": map[string]any{"name": "scaled"},
		"spec": map[string]any{
			"pollingInterval": int64(1), "maxReplicaCount": int64(2),
			"jobTargetRef": map[string]any{"template": template},
			// Active the whole year but for one minute that is far away.
			"triggers": []any{map[string]any{"type": "cron", "metadata": map[string]any{
				"timezone": "UTC", "desiredReplicas": "1",
				"start": fmt.Sprintf("0 0 1 %d *", now.Month()),
				"end":   fmt.Sprintf("0 0 1 %d *", now.AddDate(0, 3, 1-now.Day()).Month()),
			}}},
		},
	}}
	all := c.Dynamic().Resource(scaledJobs).Namespace(namespace)
	if _, err := all.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Eventually(patience, "KEDA calls the ScaledJob ready", func(ctx context.Context) error {
		got, err := all.Get(ctx, "scaled", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return hasCondition(got, "Ready")
	})
	c.Eventually(patience, "a Kubernetes Job of it succeeds", func(ctx context.Context) error {
		list, err := c.Client().BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{LabelSelector: "scaledjob.keda.sh/name=scaled"})
		if err != nil {
			return err
		}
		for _, job := range list.Items {
			if job.Status.Succeeded > 0 {
				return nil
			}
		}
		return fmt.Errorf("there are %d Kubernetes Jobs, none of which succeeded", len(list.Items))
	})
}

func TestAVolumeClaimIsFilled(t *testing.T) {
	c := cluster.Join(t)
	namespace := c.Namespace()
	claim := strings.NewReader(`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data"},
		"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`)
	file := filepath.Join(t.TempDir(), "claim.json")
	b, err := io.ReadAll(claim)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	c.Kubectl("-n", namespace, "apply", "-f", file)
	pod := podSpec(c, "keep", "/data/file", "kept")
	group := int64(65532)
	pod.SecurityContext.FSGroup = &group // a volume that honours it can be written to by others than root
	pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	pod.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
	}}}
	createPod(c, t, namespace, "keeper", pod)
	ended(t, c, namespace, "keeper", corev1.PodSucceeded)
	if got := logOf(t, c, namespace, "keeper"); got != "kept\n" {
		t.Errorf("it read %q", got)
	}
}

func TestPodSecurityAndRBACAreEnforced(t *testing.T) {
	c := cluster.Join(t)
	namespace := c.Namespace()
	pod := podSpec(c, "wait")
	pod.Containers[0].SecurityContext = nil
	_, err := c.Client().CoreV1().Pods(namespace).Create(t.Context(),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "lax"}, Spec: pod}, metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Errorf("a pod that is not restricted was answered: %v", err)
	}
	user := "system:serviceaccount:" + namespace + ":default"
	if out, err := c.Run("kubectl", "auth", "can-i", "list", "pods", "-n", namespace, "--as", user); err == nil {
		t.Errorf("a service account without a role may list pods: %s", out)
	}
}

func TestNothingOutsideCanBeReached(t *testing.T) {
	c := cluster.Join(t)
	namespace := c.Namespace()
	createPod(c, t, namespace, "escape", podSpec(c, "get", "http://192.0.2.1/")) // an address that nobody has
	ended(t, c, namespace, "escape", corev1.PodFailed)
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if i.Name != "lo" && i.Name != "node0" && !strings.HasPrefix(i.Name, "veth") {
			t.Errorf("there is an interface %s here", i.Name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if addresses, err := net.DefaultResolver.LookupHost(ctx, "example.com"); err == nil {
		t.Errorf("example.com is known here: %v", addresses)
	}
}

func TestTheKubeletStopsAndComesBack(t *testing.T) {
	c := cluster.Join(t)
	c.Kill("kubelet")
	c.Eventually(2*time.Minute, "the node is not Ready", func(ctx context.Context) error { return nodeReady(ctx, c, false) })
	c.Start("kubelet")
	c.Eventually(patience, "the node is Ready", func(ctx context.Context) error { return nodeReady(ctx, c, true) })
}

func TestTheAPIServerStopsAndComesBack(t *testing.T) {
	c := cluster.Join(t)
	c.Kill("kube-apiserver")
	if _, err := c.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("it answers although it was killed")
	}
	c.Start("kube-apiserver")
	namespace := c.Namespace()
	createPod(c, t, namespace, "after", podSpec(c, "say", "again"))
	ended(t, c, namespace, "after", corev1.PodSucceeded)
}

func nodeReady(ctx context.Context, c *cluster.Cluster, want bool) error {
	node, err := c.Client().CoreV1().Nodes().Get(ctx, "node", metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && (condition.Status == corev1.ConditionTrue) == want {
			return nil
		}
	}
	return fmt.Errorf("its conditions are %v", node.Status.Conditions)
}

func answers(ctx context.Context, url, want string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err == nil && string(b) != want {
		err = fmt.Errorf("%s answered %q", url, b)
	}
	return err
}
