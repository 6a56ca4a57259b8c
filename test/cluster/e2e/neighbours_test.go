package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tallyman/test/cluster"
)

// Two releases share a NATS, an account each, and everything else has the same name: neither is in the other's books.
func TestTwoReleasesOnOneNATSKeepTheirOwnBooks(t *testing.T) {
	t.Parallel()
	c := cluster.Join(t)
	nats := c.Namespace()
	one, other := neighbour(t, "one", nats), neighbour(t, "other", nats)
	// Both are there before their NATS is, and wait for it: its configuration is made of what they ask for.
	serveNATS(t, c, nats, map[string]any{"ONE": one.account("one"), "OTHER": other.account("other")})

	for _, w := range []*tallyman{one, other} {
		w.Kubectl("-n", w.namespace, "rollout", "status", "deployment", "--timeout=4m")
	}
	well, bad := one.submitAll(3, quick()), other.submitAll(2, processData(map[string]any{"misspelt": true}))
	one.settles(long, map[string]int{"succeeded": 3})
	other.settles(long, map[string]int{"failed": 2})
	for _, id := range well {
		other.knowsNothingOf(id)
	}
	for _, id := range bad {
		one.knowsNothingOf(id)
	}

	one.Helm("uninstall", "tallyman", "--namespace", one.namespace, "--wait")
	other.becomes(other.submit(quick()), "succeeded", long)
	other.settles(patience, map[string]int{"failed": 2, "succeeded": 1})
}

const natsUsers = "nats-users" // the Secret with a release's credentials

// neighbour installs a release that uses the NATS of a namespace, under names of its own; it does not wait.
func neighbour(t *testing.T, name, nats string) *tallyman {
	t.Helper()
	w := prepare(t)
	args := []string{"-n", w.namespace, "create", "secret", "generic", natsUsers}
	for _, user := range []string{"api", "scheduler", "bridge", "aggregator", "processor-default"} {
		args = append(args, fmt.Sprintf("--from-literal=%s=%s-%[1]s:%[3]s", user, name, password(name, user)))
	}
	w.Kubectl(args...)
	w.wait = false
	w.install("nats.bundled=false", fmt.Sprintf(`nats.url="nats://nats.%s.svc:4222"`, nats), "nats.replicas=1", "nats.allowFewerReplicas=true",
		fmt.Sprintf(`nats.credentials={"secret":%q}`, natsUsers))
	return w
}

func password(release, user string) string { return release + "/" + user }

// account is a release's at NATS: the users that the chart asks for, with the rights that it prints. A server wants
// each user once, whatever the account, so their names begin with the release's.
func (w *tallyman) account(name string) map[string]any {
	w.t.Helper()
	printed := w.Kubectl("-n", w.namespace, "get", "configmap", "tallyman-nats-users", "-o", `jsonpath={.data.users\.json}`)
	var asked struct {
		Users []struct {
			User        string          `json:"user"`
			Permissions json.RawMessage `json:"permissions"`
		} `json:"users"`
	}
	if err := json.Unmarshal([]byte(printed), &asked); err != nil {
		w.t.Fatalf("%v: %s", err, printed)
	}
	users := make([]map[string]any, len(asked.Users))
	for i, u := range asked.Users {
		users[i] = map[string]any{"user": name + "-" + u.User, "password": password(name, u.User), "permissions": u.Permissions}
	}
	return map[string]any{"jetstream": "enabled", "users": users}
}

// serveNATS runs a NATS with these accounts in a namespace, behind a Service of that name.
func serveNATS(t *testing.T, c *cluster.Cluster, namespace string, accounts map[string]any) {
	t.Helper()
	var list strings.Builder
	encoder := json.NewEncoder(&list)
	encoder.SetEscapeHTML(false) // a server knows no \u003e
	if err := encoder.Encode(accounts); err != nil {
		t.Fatal(err)
	}
	ctx, core := t.Context(), c.Client().CoreV1()
	_, err := core.Secrets(namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "nats"},
		StringData: map[string]string{"nats.conf": "port: 4222\njetstream: {store_dir: \"/data\"}\naccounts: " + list.String()},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = core.Services(namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "nats"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "nats"}, Ports: []corev1.ServicePort{{Port: 4222}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := podSpec(c, "--config", "/etc/nats/nats.conf")
	user := int64(65532)
	pod.SecurityContext.RunAsUser, pod.SecurityContext.FSGroup = &user, &user
	pod.Containers[0].Image = "nats:2.15.2"
	pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: "/etc/nats"}, {Name: "data", MountPath: "/data"}}
	pod.Volumes = []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "nats"}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	createPod(c, t, namespace, "nats", pod)
}

// knowsNothingOf fails where the api has heard of a job.
func (w *tallyman) knowsNothingOf(id string) {
	w.t.Helper()
	if j, err := w.job(w.t.Context(), id); err == nil || !strings.Contains(err.Error(), "404") {
		w.t.Errorf("a job of the other release: %+v, %v", j, err)
	}
}
