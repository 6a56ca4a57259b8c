package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/test/cluster"
)

// image is the toolbox (cmd/toolbox) as pods name it.
const image = "localhost:5000/toolbox:1"

// toolbox puts the image where pods find it; a repeat finds everything there and is quick.
func toolbox(c *cluster.Cluster) {
	c.PushProgram("toolbox:1", os.Getenv("TALLYMAN_CLUSTER_TOOLBOX"), "/toolbox")
}

// podSpec is a pod of the toolbox that the Pod Security standard `restricted` allows.
func podSpec(c *cluster.Cluster, args ...string) corev1.PodSpec {
	toolbox(c)
	yes, no, soon := true, false, int64(1)
	return corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: &soon,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "toolbox", Image: image, Args: args,
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
}

func createPod(c *cluster.Cluster, t *testing.T, namespace, name string, spec corev1.PodSpec) {
	t.Helper()
	app, _, _ := strings.Cut(name, "-") // server-0 and server-1 are one app
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": app}}, Spec: spec}
	if _, err := c.Client().CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func ended(t *testing.T, c *cluster.Cluster, namespace, name string, phase corev1.PodPhase) {
	t.Helper()
	c.Eventually(patience, fmt.Sprintf("pod %s is %s", name, phase), func(ctx context.Context) error {
		pod, err := c.Client().CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if pod.Status.Phase == phase {
			return nil
		}
		if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			return fmt.Errorf("%w: it is %s", cluster.ErrNever, pod.Status.Phase)
		}
		return fmt.Errorf("it is %s: %v", pod.Status.Phase, pod.Status.ContainerStatuses)
	})
}

func logOf(t *testing.T, c *cluster.Cluster, namespace, name string) string {
	t.Helper()
	b, err := c.Client().CoreV1().Pods(namespace).GetLogs(name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
